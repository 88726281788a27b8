// A request as a command for a POSIX shell. Nothing in a request can end its quotes or name a file.

const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]*$/u;
const PLAIN_NAME = /^[A-Za-z_]+$/;

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const encode = (text) => encodeURIComponent(text).replaceAll("'", "%27");

function field([name, value]) {
  if (PLAIN_NAME.test(name) && PRINTABLE.test(value)) return `--data-urlencode ${quote(`${name}=${value}`)}`;
  return `-d ${quote(`${encode(name)}=${encode(value)}`)}`;
}

/** Return the command that repeats `request` at `origin`. */
export function toCurl(request, origin, { username, password }) {
  const path = request.path.split("/").map(encode).join("/");
  const query = Object.entries(request.query).map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  const words = ["curl", quote(origin + path + (query && `?${query}`)), `-u ${quote(`${username}:${password}`)}`];
  if (request.method === "POST") words.push(...Object.entries(request.form).map(field));
  if (request.method === "POST" && !Object.keys(request.form).length) words.push("-d ''");
  if (!["GET", "POST"].includes(request.method)) words.push(`-X ${quote(request.method)}`);
  return words.join(" ");
}
