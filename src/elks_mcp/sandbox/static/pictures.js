// Pictures of MMS: on the screen of a phone, and the one that a person attaches to an answer.

import { byId, make } from "./dom.js";

const MOST_BYTES = 10_000_000;
let attached = null; // the data URL of the picture that goes with the next answer

const size = (bytes) => (bytes < 1000 ? `${bytes} bytes` : `${Math.round(bytes / 1000)} kB`);

/** Return a word for what a message without text holds. */
export const pictureWords = (pictures) => (pictures?.length > 1 ? `${pictures.length} pictures` : "Picture");

/** Return the elements of a message's pictures; the sandbox serves them itself. */
export function pictureElements(pictures = []) {
  return pictures.map(({ digest, filetype, bytes }, index) => {
    const which = pictures.length > 1 ? ` ${index + 1} of ${pictures.length}` : "";
    return make("img", {
      class: "picture", src: `/_sandbox/pictures/${digest}`, alt: `Picture${which}: ${filetype.toUpperCase()}, ${size(bytes)}`,
    });
  });
}

/** Return the pictures of the next answer as data URLs, and forget them; undefined without one. */
export function takeAttached() {
  const images = attached ? [attached] : undefined;
  detach();
  return images;
}

export const hasAttached = () => attached !== null;

export function attach(url) {
  attached = url;
  byId("attached").querySelector("img").src = url;
  byId("attached").hidden = false;
}

function detach() {
  attached = null;
  byId("attached").hidden = true;
  byId("picture").value = "";
}

function choose(event) {
  const [file] = event.target.files;
  if (!file) return;
  if (file.size > MOST_BYTES) {
    byId("to").textContent = "The picture is larger than 10 MB.";
    event.target.value = "";
    return;
  }
  const reader = new FileReader();
  reader.addEventListener("load", () => { attach(reader.result); byId("text").focus(); });
  reader.readAsDataURL(file);
}

export function startPictures() {
  byId("picture").addEventListener("change", choose);
  byId("detach").addEventListener("click", () => { detach(); byId("text").focus(); });
}
