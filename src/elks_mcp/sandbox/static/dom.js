// Small helpers for the page's elements. Data is set as text, so that it is never parsed as HTML.

export const byId = (id) => document.getElementById(id);

/**
 * Return a new element. An attribute whose name starts with "on" is a listener; true sets an attribute, and false,
 * null and undefined leave it out. Content that is empty is left out too.
 */
export function make(tag, attributes = {}, ...content) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...content.filter((part) => part || part === 0));
  return node;
}

/** Return text from outside: its direction cannot reorder the text around it. */
export const isolated = (text) => make("bdi", {}, text);

/** Return a list of sentences from outside, or null if there are none. */
export const list = (name, sentences) => (sentences.length
  ? make("ul", { class: name }, ...sentences.map((each) => make("li", {}, isolated(each)))) : null);

/** Return a definition list of [term, content] pairs; pairs without content are left out. */
export function definitions(pairs) {
  const rows = pairs.filter(([, content]) => content !== null && content !== undefined && content !== "");
  return make("dl", { class: "pairs" }, ...rows.map(([term, content]) =>
    make("div", {}, make("dt", {}, term), make("dd", {}, typeof content === "string" ? isolated(content) : content))));
}

/**
 * Make the children of `parent` show `items`, in order. Elements of items that stay are kept, with their focus and
 * their scroll position; `fill(node, item)` is called only if the item's version has changed.
 */
export function reconcile(parent, items, { key, version, create, fill }) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item), now = version(item);
    let node = old.get(name);
    old.delete(name);
    if (!node) {
      node = create(item);
      node.dataset.key = name;
    }
    if (node.dataset.version !== now) {
      fill(node, item);
      node.dataset.version = now;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) node.remove();
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** Copy `text`, and say so on the button that was pressed. */
export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text and copy it";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}

export const copyButton = (text) => make("button", {
  type: "button", class: "small", onclick: (event) => copy(text(), event.currentTarget),
}, "Copy");
