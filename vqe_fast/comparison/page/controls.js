// Keys, and what pointers do on the picture.
const KEYS = [
  ["Space", "play, pause"],
  ["← →", "one frame back, on"],
  ["Page ↑ Page ↓", "ten frames back, on"],
  ["Home End", "first, last frame"],
  ["< >", "slower, faster"],
  ["L", "loop"],
  ["1 … 6", "view: divider, side by side, A, B, R, difference"],
  ["[ ]", "divider to the left, to the right"],
  ["+ −", "larger, smaller"],
  ["0", "fit into the window"],
  ["9", "one pixel to one pixel"],
  ["Shift ← → ↑ ↓", "move the picture, or the magnifier"],
  ["M", "magnifier"],
  ["D", "difference: of which two"],
  ["G", "difference: amplification"],
  ["?", "this help"],
];

const byId = (id) => document.getElementById(id);

const chooseNext = (select, by = 1) => {
  const count = select.options.length;
  const next = select.selectedIndex + by;
  select.selectedIndex = by === 1 && select.id !== "speed" ? next % count : Math.min(Math.max(next, 0), count - 1);
  select.dispatchEvent(new Event("change"));
};

const onKeys = ({ player, viewer, magnifier, setMode, help }) => {
  const step = (by) => () => player.step(by);
  const zoom = (by) => () => viewer.zoomStep(by);
  const divide = (by) => () => viewer.moveDivider(viewer.split + by);
  const actions = {
    " ": () => player.toggle(),
    ArrowLeft: step(-1), ArrowRight: step(1), ",": step(-1), ".": step(1),
    PageUp: step(-10), PageDown: step(10),
    Home: step(-Infinity), End: step(Infinity),
    "<": () => chooseNext(byId("speed"), -1), ">": () => chooseNext(byId("speed")),
    l: () => byId("loop").click(),
    "[": divide(-0.02), "]": divide(0.02),
    "+": zoom(1), "=": zoom(1), "-": zoom(-1), "−": zoom(-1),
    0: () => viewer.zoomTo(null), 9: () => viewer.zoomTo(1),
    m: () => byId("magnify").click(),
    d: () => chooseNext(byId("pair")), g: () => chooseNext(byId("gain")),
    "?": help,
  };
  MODES.forEach(({ id }, i) => (actions[i + 1] = () => setMode(id)));
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("select")) return;
    if (target.matches("button, summary, input") && (key === " " || key === "Enter")) return;
    if (target.matches("input[type=radio]") && key.startsWith("Arrow")) return;
    const move = event.shiftKey && moves[key];
    if (move && target.id !== "divider") {
      event.preventDefault();
      if (magnifier.on) magnifier.move(...move);
      else viewer.pan(-40 * move[0], -40 * move[1]);
      return;
    }
    if (target.id === "divider") {
      const to = { ArrowLeft: viewer.split - 0.02, ArrowRight: viewer.split + 0.02, Home: 0, End: 1 }[key];
      if (to !== undefined) {
        event.preventDefault();
        viewer.moveDivider(to);
        return;
      }
    }
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (!action) return;
    event.preventDefault();
    action();
  });
};

const onPointers = ({ viewer, magnifier }) => {
  const { canvas, divider } = viewer;
  const pointers = new Map();
  const within = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const aim = (event) => {
    const found = viewer.at(...within(event));
    magnifier.aim(found.x, found.y);
  };

  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    divider.focus();
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) viewer.dragDivider(within(event)[0]);
    else if (magnifier.on) aim(event);
  });

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, within(event));
    if (magnifier.on) aim(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (magnifier.on && pointers.size < 2) return aim(event);
    if (!before) return;
    const now = within(event);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
      viewer.zoomTo((viewer.currentScale() * apart(now)) / apart(before), ...middle);
    }
    viewer.pan((now[0] - before[0]) / pointers.size, (now[1] - before[1]) / pointers.size);
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  const wheel = (event) => {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015));
    viewer.zoomTo(viewer.currentScale() * factor, ...within(event));
  };
  canvas.addEventListener("wheel", wheel, { passive: false });
  divider.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("dblclick", (event) => {
    if (viewer.scale === null) viewer.zoomTo(Math.max(4, viewer.fitting() * 2), ...within(event));
    else viewer.zoomTo(null);
  });
};
