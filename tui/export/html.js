"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
// A probability and a logprob (nats) in the words of the terminal; null is minus infinity.
const percent = (logprob) => {
  const share = logprob === null ? 0 : Math.exp(logprob);
  if (share >= 1) return "100%";
  if (share < 0.0001) return share > 0 ? "<0.01%" : "0%";
  if (share < 0.001) return (100 * share).toFixed(2) + "%";
  return share < 0.9995 ? (100 * share).toFixed(1) + "%" : ">99.9%";
};
const nats = (logprob) => {
  if (logprob === null) return "-\u221e";
  const tiny = logprob !== 0 && Math.abs(logprob) < 0.00005;
  return tiny ? logprob.toExponential(1).replace(/-(\d)$/, "-0$1") : logprob.toFixed(4);
};
(() => {
  const tip = document.getElementById("tip");
  const tokens = [...document.querySelectorAll(".t")];
  let on = null;

  const add = (parent, name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };

  const show = (token) => {
    if (on) on.classList.remove("on");
    on = token;
    token.classList.add("on");
    const [id, parent, logprob, rank, step, how, note, name] = data.nodes[token.dataset.n];
    const told = data.told[parent];
    tip.replaceChildren();
    const box = add(tip, "div");
    const head = add(box, "div", undefined, "head");
    add(head, "b", data.tokens[id]);
    const given = step === null || token.classList.contains("prompt");
    add(head, "span", given ? "prompt" : "step " + step);
    add(head, "span", "id " + id);
    if (logprob !== null) add(head, "span", "logprob " + nats(logprob) + " nats, " + percent(logprob));
    if (rank) add(head, "span", "rank " + rank);
    if (!given) add(head, "span", how);
    if (told) {
      add(head, "span", "H " + told[0].toFixed(2) + " nats");
      if (told[1] !== null) add(head, "span", "margin " + told[1].toFixed(2) + " nats");
    }
    if (name) add(head, "span", "name: " + name);
    if (note) add(head, "span", "note: " + note);
    if (told && told[2].length) {
      const table = add(box, "table");
      told[2].forEach((candidate, index) => {
        const row = add(table, "tr", undefined, candidate === id ? "taken" : "");
        add(row, "td", String(index + 1));
        add(row, "td", data.tokens[candidate], "token");
        add(row, "td", nats(told[3][index]));
        add(row, "td", percent(told[3][index]));
        const bar = add(add(row, "td", undefined, "bar"), "i");
        bar.style.width = 100 * Math.exp(told[3][index] - told[3][0]) + "%";
      });
    }
    tip.hidden = false;
  };

  for (const token of tokens) token.removeAttribute("title");
  if (tokens.length) tokens[0].tabIndex = 0;
  document.addEventListener("mouseover", (event) => {
    const token = event.target.closest(".t");
    if (token) show(token);
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.classList.contains("t")) show(event.target);
  });
  document.addEventListener("click", (event) => {
    const token = event.target.closest(".t");
    if (token) { token.tabIndex = 0; token.focus(); }
  });
  document.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") tip.hidden = true;
    if (!by || !on) return;
    const next = tokens[tokens.indexOf(on) + by];
    if (next) { next.tabIndex = 0; next.focus(); event.preventDefault(); }
  });
  const named = () => {
    const token = tokens.find((token) => "#n" + token.dataset.n === location.hash);
    if (token) { show(token); token.scrollIntoView({ block: "center" }); }
  };
  addEventListener("hashchange", named);
  named();
  addEventListener("beforeprint", () => {
    for (const branch of document.querySelectorAll("details")) branch.open = true;
  });
})();
