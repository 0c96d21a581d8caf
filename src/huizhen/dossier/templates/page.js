"use strict";
(() => {
  const root = document.documentElement;
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const count = document.getElementById("count");
  const numbers = JSON.parse(document.getElementById("numbers").textContent);
  const MOST = 40;
  const chinese = () => root.lang !== "en";

  const speak = (language) => {
    root.lang = language;
    const suffix = chinese() ? "Zh" : "En";
    document.title = document.body.dataset["title" + suffix];
    search.placeholder = search.dataset["hint" + suffix];
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    list();
  };

  const item = ([entry, block, labelEn, labelZh, textEn, textZh]) => {
    const line = document.createElement("li");
    const place = document.createElement("a");
    place.href = "#" + block;
    place.textContent = (chinese() ? labelZh : labelEn) + "  " + (chinese() ? textZh : textEn);
    const source = document.createElement("a");
    source.href = "#entry-" + entry;
    source.textContent = "#" + entry;
    source.className = "num";
    line.append(place, source);
    return line;
  };

  const list = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = words.length === 0 ? [] : numbers.filter((row) => {
      const text = row.join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    found.replaceChildren(...matches.slice(0, MOST).map(item));
    found.hidden = matches.length === 0;
    const more = matches.length > MOST ? " (" + MOST + ")" : "";
    count.textContent = words.length ? matches.length + more + (chinese() ? " 条匹配" : " found") : "";
    count.classList.toggle("hidden", words.length === 0);
  };

  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let inner = target;
    while (inner) {
      if (inner.tagName === "DETAILS") inner.open = true;
      inner = inner.parentElement;
    }
    target.scrollIntoView();
  };

  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => speak(button.dataset.language));
  }
  search.addEventListener("input", list);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { search.value = ""; list(); }
    if (event.key === "ArrowDown" && found.firstChild) { event.preventDefault(); found.querySelector("a").focus(); }
  });
  found.addEventListener("click", (event) => {
    if (event.target.tagName === "A") { found.hidden = true; setTimeout(unfold); }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) found.hidden = true;
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) setTimeout(unfold);
  });
  search.addEventListener("focus", list);
  window.addEventListener("hashchange", unfold);
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.fold:not([open])")];
    for (const fold of folded) fold.open = true;
  });
  window.addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
  unfold();
})();
