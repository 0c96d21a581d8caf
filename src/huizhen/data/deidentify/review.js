"use strict";
(() => {
  const sections = [...document.querySelectorAll("section[data-item]")];
  const clamp = (value, most) => Math.min(Math.max(value, 0), most);

  const radio = (section, value) => section.querySelector(`input[value="${value}"]`);
  const verdict = (section) => section.querySelector("input:checked").value;

  function show(section) {
    const rows = Number(section.dataset.rows), columns = Number(section.dataset.columns);
    for (const picture of section.querySelectorAll(".picture:not(.plain)")) {
      picture.querySelectorAll(".box").forEach((box) => box.remove());
      section.boxes.forEach((box, i) => {
        const mark = document.createElement("button");
        mark.type = "button";
        mark.className = "box";
        mark.setAttribute("aria-label", String(i + 1));
        place(mark, box, rows, columns);
        mark.addEventListener("click", () => { section.boxes.splice(i, 1); show(section); });
        mark.addEventListener("pointerdown", (event) => event.stopPropagation());
        picture.append(mark);
      });
    }
    section.classList.toggle("decided", verdict(section) !== "");
    count();
  }

  function place(mark, [top, bottom, left, right], rows, columns) {
    mark.style.top = `${100 * top / rows}%`;
    mark.style.height = `${100 * (bottom - top) / rows}%`;
    mark.style.left = `${100 * left / columns}%`;
    mark.style.width = `${100 * (right - left) / columns}%`;
  }

  function drawn(picture, section, from, to) {
    const rows = Number(section.dataset.rows), columns = Number(section.dataset.columns);
    const frame = picture.getBoundingClientRect();
    const at = (event) => [
      clamp(Math.round((event.clientY - frame.top) / frame.height * rows), rows),
      clamp(Math.round((event.clientX - frame.left) / frame.width * columns), columns),
    ];
    const [[y0, x0], [y1, x1]] = [at(from), at(to)];
    return [Math.min(y0, y1), Math.max(y0, y1), Math.min(x0, x1), Math.max(x0, x1)];
  }

  function count() {
    const text = document.getElementById("count");
    const done = sections.filter((section) => verdict(section) !== "").length;
    if (text) text.textContent = text.dataset.text.replace("{done}", done).replace("{all}", sections.length);
  }

  for (const section of sections) {
    section.boxes = JSON.parse(section.dataset.boxes);
    const rows = Number(section.dataset.rows), columns = Number(section.dataset.columns);
    for (const picture of section.querySelectorAll(".picture:not(.plain)")) {
      picture.addEventListener("pointerdown", (from) => {
        from.preventDefault();
        const mark = document.createElement("div");
        mark.className = "box drawing";
        picture.append(mark);
        picture.setPointerCapture(from.pointerId);
        const move = (to) => place(mark, drawn(picture, section, from, to), rows, columns);
        const end = (to) => {
          picture.removeEventListener("pointermove", move);
          mark.remove();
          const box = drawn(picture, section, from, to);
          if (box[1] - box[0] > 2 && box[3] - box[2] > 2) {
            section.boxes.push(box);
            const wanted = radio(section, "blacken");
            if (wanted && verdict(section) !== "refuse") wanted.checked = true;
          }
          show(section);
        };
        picture.addEventListener("pointermove", move);
        picture.addEventListener("pointerup", end, { once: true });
      });
    }
    section.addEventListener("change", () => show(section));
    show(section);
  }

  const save = document.getElementById("save");
  if (save) save.addEventListener("click", () => {
    const decisions = sections.filter((section) => verdict(section) !== "").map((section) => ({
      item: Number(section.dataset.item),
      verdict: verdict(section),
      boxes: verdict(section) === "blacken" ? section.boxes : [],
    }));
    const body = JSON.stringify({ review: document.body.dataset.review, decisions }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([body], { type: "application/json" }));
    link.download = `decisions-${document.body.dataset.review}-${document.body.dataset.page}.json`;
    link.click();
  });
})();
