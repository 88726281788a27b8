/* Find an error message that somebody pasted: it has words that are on no page, such as a number or a name. */
"use strict";

(() => {
  const LONG = 5; /* A query of at least five words is likely a pasted message. */
  const searched = localStorage.getItem("sphinx_highlight_terms") ?? ""; /* Sphinx removes it when it is used. */

  /* Sphinx shows only pages that have all words of a query. For a long one, show those that have most of them. */
  const widenSearch = () => {
    const findAll = Search.performTermsSearch;
    Search.performTermsSearch = (terms, excluded) => {
      if (terms.size < LONG) return findAll(terms, excluded);
      const pages = new Map();
      for (const term of terms) {
        for (const result of findAll(new Set([term]), excluded)) {
          const page = pages.get(result[0]) ?? { result, count: 0 };
          page.count += 1;
          pages.set(result[0], page);
        }
      }
      const found = [...pages.values()].filter(({ count }) => count >= terms.size / 2);
      const most = Math.max(0, ...found.map(({ count }) => count));
      return found.map(({ result, count }) => {
        const isLikely = result[0] === "errors" && count >= most - 3;
        result[4] = count + (isLikely ? LONG : 0);
        return result;
      });
    };
  };

  const listWords = (text) => new Set(text.toLowerCase().match(/[\p{Letter}\p{Number}_]{2,}/gu) ?? []);

  /* On the page of errors, a field shows the entries that are most like the message. */
  const addField = (section) => {
    const entries = [...section.querySelectorAll("li")]
      .map((item) => ({ item, code: item.querySelector(":scope > p > strong > code, :scope > strong > code") }))
      .filter(({ code }) => code)
      .map(({ item, code }) => ({ item, words: listWords(code.textContent.replaceAll(/\{[^}]*\}/g, " ")) }));
    const counts = new Map();
    for (const { words } of entries) for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    const weigh = (word) => Math.log(entries.length / counts.get(word));
    const rate = (words, message) => {
      let rating = 0;
      for (const word of words) rating += message.has(word) ? weigh(word) : -weigh(word) / 4;
      return rating;
    };

    const label = document.createElement("label");
    label.className = "find-message";
    label.textContent = "Paste your message here";
    const field = label.appendChild(document.createElement("input"));
    field.type = "search";
    const found = document.createElement("ul");
    found.className = "found-messages";
    found.setAttribute("aria-live", "polite");
    section.querySelector("h1").after(label, found);

    const show = () => {
      const message = listWords(field.value);
      const rated = entries.map(({ item, words }) => ({ item, rating: rate(words, message) }));
      const best = rated.filter(({ rating }) => rating > 4).sort((a, b) => b.rating - a.rating);
      found.replaceChildren(...best.slice(0, 3).map(({ item }) => item.cloneNode(true)));
    };
    field.addEventListener("input", show);
    field.value = searched;
    if (searched) show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search !== "undefined") widenSearch();
    const section = document.getElementById("error-messages");
    if (section) addField(section);
  });
})();
