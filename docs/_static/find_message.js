/* Find an error message that somebody pasted: it also has words that are on no page, such as a number or a name. */
"use strict";

(() => {
  const listWords = (text) => new Set(text.toLowerCase().match(/[\p{Letter}\p{Number}_]+/gu) ?? []);

  /* The words that an entry always has: neither values, {…}, nor one of several wordings, [… / …]. */
  const listFixedWords = (text) => {
    let fixed = text.replaceAll(/\{[^}]*\}/g, " ");
    for (let depth = 0; depth < 3; depth += 1) fixed = fixed.replaceAll(/\[[^[\]]*\]/g, " ");
    const words = listWords(fixed);
    return words.size ? words : listWords(text);
  };

  /* Return a function that lists the entries which are most like a message, the best one first. */
  const prepare = (entries) => {
    const counts = new Map();
    for (const entry of entries) {
      entry.words = listWords(entry.text.replaceAll(/\{[^}]*\}/g, " "));
      entry.fixed = listFixedWords(entry.text);
      for (const word of entry.words) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    /* A rare word says more than a common one. */
    const weigh = (words) => {
      let weight = 0;
      for (const word of words) weight += Math.log(1 + entries.length / counts.get(word));
      return weight;
    };
    return (message) => {
      const given = listWords(message);
      const rated = entries.map((entry) => {
        const weighCommon = (words) => weigh([...words].filter((word) => given.has(word)));
        const share = weighCommon(entry.fixed) / weigh(entry.fixed);
        return { entry, share, common: weighCommon(entry.words) };
      });
      const alike = rated.filter(({ share, common }) => share > 0.6 && common > 4);
      alike.sort((a, b) => b.share * b.common - a.share * a.common);
      return alike.slice(0, 3).map(({ entry }) => entry);
    };
  };

  /* In the search, show such entries above the pages that have all words of the query. */
  const extendSearch = (entries) => {
    const find = prepare(entries);
    const findPages = Search._performSearch;
    Search._performSearch = (query, ...more) => {
      const pages = findPages(query, ...more); /* the best one last */
      const address = `?message=${encodeURIComponent(query)}`;
      const show = ({ text, remedy }) =>
        ["errors", "Error messages", address, `${text} ${remedy}`, 1000, "errors.md", SearchResultKind.text];
      return [...pages, ...find(query).map(show).reverse()];
    };
  };

  /* On the page of errors, show them below a field. */
  const addField = (section) => {
    const entries = [];
    for (const item of section.querySelectorAll("li")) {
      const code = item.querySelector(":scope > p > strong > code, :scope > strong > code");
      if (code) entries.push({ text: code.textContent, item });
    }
    const find = prepare(entries);
    const label = document.createElement("label");
    label.className = "find-message";
    label.textContent = "Paste your message here";
    const field = label.appendChild(document.createElement("input"));
    field.type = "search";
    const found = document.createElement("ul");
    found.className = "found-messages";
    found.setAttribute("aria-live", "polite");
    section.querySelector("h1").after(label, found);
    const show = () => found.replaceChildren(...find(field.value).map(({ item }) => item.cloneNode(true)));
    field.addEventListener("input", show);
    field.value = new URLSearchParams(location.search).get("message") ?? "";
    show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search !== "undefined" && window.ERROR_MESSAGES) extendSearch(window.ERROR_MESSAGES);
    const section = document.getElementById("error-messages");
    if (section) addField(section);
  });
})();
