"use strict";
(() => {
  const buttons = document.querySelectorAll("[data-language]");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      document.documentElement.lang = button.dataset.language;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
})();
