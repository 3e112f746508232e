(() => {
  const told = JSON.parse(document.getElementById("maps").textContent);
  const path = new Set(told.path);
  const LEAST = 0.75, STEP = 84;

  const node = (row) => data.nodes[row[0]];
  const name = (row) => (node(row) ? data.tokens[node(row)[0]] : "");

  const begin = (place, rows) => {
    const box = place.querySelector(".icicle"), steps = place.querySelector(".steps");
    const at = place.querySelector(".at"), back = place.querySelector("button");
    const line = place.querySelector(".told"), said = line.textContent;
    const after = rows.map(() => []);
    rows.forEach((row, index) => { if (row[1] >= 0) after[row[1]].push(index); });
    const depth = [0];
    rows.forEach((row, index) => { if (row[1] >= 0) depth[index] = depth[row[1]] + 1; });
    const foci = [0];

    // Nats from the row `top` to `index`; null where one is not known.
    const since = (top, index) => {
      let sum = 0;
      for (; index !== top; index = rows[index][1]) {
        const logprob = node(rows[index])[2];
        if (logprob === null) return null;
        sum += logprob;
      }
      return sum;
    };
    const bits = (index) => {
      const nats = since(0, index);
      return nats === null ? "+? bits" : "+" + (-nats / Math.LN2).toFixed(1) + " bits";
    };
    const tell = (index) => {
      if (index === 0) { line.textContent = said; return; }
      const [, , logprob, rank] = node(rows[index]), whole = since(0, index);
      const own = logprob === null ? "probability not known" : percent(logprob) + " of its step";
      line.textContent = name(rows[index]) + "  " + own + (rank ? " · rank " + rank : "") +
        " · path " + (whole === null ? "?" : percent(whole)) + " · " + bits(index);
    };
    const part = (kind, column, count, top, height) => {
      const made = document.createElement("div");
      made.className = kind;
      made.style.left = 100 * column / count + "%";
      made.style.width = 100 / count + "%";
      made.style.top = 100 * top + "%";
      made.style.height = 100 * height + "%";
      return made;
    };

    const draw = () => {
      const focus = foci[foci.length - 1], high = box.clientHeight;
      const most = Math.max(2, Math.floor(box.clientWidth / STEP));
      const found = [], stack = [[focus, 0, 0, 1]];
      let count = 1;
      while (stack.length) {
        const [index, column, top, height] = stack.pop();
        if (height * high < LEAST || column >= most) continue;
        found.push([index, column, top, height]);
        count = Math.max(count, column + 1);
        for (const next of after[index]) {
          stack.push([next, column + 1, top + rows[next][2] * height, rows[next][3] * height]);
        }
      }
      count = Math.min(most, count + 1);
      const made = [];
      for (const [index, column, top, height] of found) {
        const row = rows[index], heat = row[4];
        const block = part(
          "block " + (index === focus ? "focus" : heat < 0 ? "unknown" : "h" + heat) +
          (path.has(row[0]) ? " path" : ""), column, count, top, height);
        block.dataset.row = index;
        if (height * high >= 15) {
          block.append(Object.assign(document.createElement("span"), { textContent: name(row) }));
          if (height * high >= 34 && index !== focus) {
            const share = heat < 0 ? "?" : percent(node(row)[2]);
            block.append(Object.assign(document.createElement("small"), { textContent: share }));
          }
        }
        made.push(block);
        const rest = row[5] * height;
        if (rest * high >= LEAST && column + 1 < count) {
          made.push(part("rest", column + 1, count, top + height - rest, rest));
        }
      }
      box.replaceChildren(...made);
      steps.replaceChildren(...Array.from({ length: count }, (_, column) => {
        const step = depth[focus] + column;
        return Object.assign(document.createElement("span"), { textContent: step || "prompt" });
      }));
      at.textContent = focus ? "after " + name(rows[focus]) + "  " + bits(focus) : "";
      back.disabled = foci.length === 1;
    };
    const go = (index) => {
      if (index === foci[foci.length - 1]) foci.length > 1 && foci.pop();
      else foci.push(index);
      tell(foci[foci.length - 1]);
      draw();
    };

    box.addEventListener("click", (event) => {
      const block = event.target.closest(".block");
      if (block) go(Number(block.dataset.row));
    });
    box.addEventListener("mouseover", (event) => {
      const block = event.target.closest(".block");
      if (block) tell(Number(block.dataset.row));
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && foci.length > 1) { go(foci[foci.length - 1]); event.preventDefault(); }
    });
    back.addEventListener("click", () => go(foci[foci.length - 1]));
    addEventListener("resize", draw);
    place.hidden = false;
    draw();
  };

  document.querySelectorAll(".map").forEach((place, index) => begin(place, told.maps[index]));
})();
