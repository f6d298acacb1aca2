// Puts the page together.
const data = JSON.parse(byId("data").textContent);
const count = data.seconds.length;
const letters = data.videos.map((video) => video.letter);
for (const lines of Object.values(data.curves)) {
  for (const values of Object.values(lines)) {
    values.forEach((value, i) => {
      if (value === "inf") values[i] = Infinity;
    });
  }
}

const pictures = new Pictures(letters, count, data.width, data.height);
const viewer = new Viewer(byId("canvas"), byId("labels"), byId("divider"), data);
const magnifier = new Magnifier(byId("magnifier"), viewer);
const player = new Player(pictures, data.seconds, (bitmaps) => {
  byId("loading").hidden = true;
  viewer.show(bitmaps);
  showPlace();
});
const curves = new Curves(byId("curves"), data, (index) => {
  player.pause();
  player.seek(index);
});
const say = (text) => (byId("status").textContent = text);

const clock = (seconds) => {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
};

const showPlace = () => {
  const { index } = player;
  const number = data.videos[0].numbers[index];
  const place = `frame ${number} · ${clock(data.seconds[index])}`;
  byId("seek").value = index;
  byId("seek").setAttribute("aria-valuetext", place);
  byId("place").textContent = place;
  curves.show(index);
};

const setMode = (id) => {
  const radio = document.querySelector(`#modes input[value="${id}"]`);
  if (!radio) return;
  radio.checked = true;
  viewer.mode = id;
  byId("difference").hidden = id !== "difference";
  byId("canvas").setAttribute("aria-label", `Picture: ${radio.parentElement.title}`);
  say(radio.parentElement.title);
  viewer.draw();
};

const press = (button, pressed) => button.setAttribute("aria-pressed", pressed);

const showState = () => {
  const { playing } = player;
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  byId("play").classList.toggle("playing", playing);
};

const showView = () => {
  const scale = viewer.currentScale();
  byId("zoom").textContent = `${Math.round(100 * scale)}%`;
  press(byId("zoom-fit"), viewer.scale === null);
  press(byId("zoom-one"), scale === 1);
  const { height, width } = viewer;
  const pane = viewer.panes()[0];
  const movable = width * scale > pane.w + 1 || height * scale > pane.h + 1;
  byId("canvas").classList.toggle("movable", movable);
  magnifier.draw();
};

const option = (value, text) => {
  const element = document.createElement("option");
  Object.assign(element, { value, textContent: text });
  return element;
};

const fillIn = () => {
  for (const { letter, name, details } of data.videos) {
    const item = document.createElement("li");
    const badge = document.createElement("b");
    badge.className = `badge of-${letter}`;
    badge.textContent = letter;
    const text = document.createElement("span");
    text.textContent = name;
    const small = document.createElement("small");
    small.textContent = details;
    item.append(badge, text, small);
    byId("names").append(item);
  }
  for (const { id, name, title } of MODES) {
    if (id === "R" && !letters.includes("R")) continue;
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "mode", value: id, checked: id === viewer.mode });
    radio.addEventListener("change", () => setMode(id));
    const text = document.createElement("span");
    text.textContent = name;
    label.title = title;
    label.append(radio, text);
    byId("modes").append(label);
  }
  const pairs = letters.length > 2 ? ["AB", "AR", "BR"] : ["AB"];
  byId("pair").append(...pairs.map((pair) => option(pair, `${pair[0]} and ${pair[1]}`)));
  for (const [keys, meaning] of KEYS) {
    const [term, description] = ["dt", "dd"].map((name) => document.createElement(name));
    term.textContent = keys;
    description.textContent = meaning;
    byId("keys").append(term, description);
  }
  summarise(byId("summary"), data);
  byId("stage").style.setProperty("--aspect", data.width / data.height);
  const span = `PSNR and SSIM are of luma. This page has ${count} of the ${data.total} frames of A.`;
  const made = `Made by vqe-fast ${data.version}.`;
  for (const remark of [...data.remarks, span, made]) {
    const item = document.createElement("li");
    item.textContent = remark;
    byId("remarks").append(item);
  }
};

const connect = () => {
  const on = (id, action, event = "click") => byId(id).addEventListener(event, action);
  const help = () => byId("help").showModal();
  on("play", () => player.toggle());
  on("first", () => player.step(-Infinity));
  on("back", () => player.step(-1));
  on("forward", () => player.step(1));
  on("last", () => player.step(Infinity));
  on("loop", () => press(byId("loop"), (player.loop = !player.loop)));
  on("seek", () => { player.pause(); player.seek(byId("seek").valueAsNumber); }, "input");
  on("speed", () => (player.speed = Number(byId("speed").value)), "change");
  on("zoom-in", () => viewer.zoomStep(1));
  on("zoom-out", () => viewer.zoomStep(-1));
  on("zoom-fit", () => viewer.zoomTo(null));
  on("zoom-one", () => viewer.zoomTo(1));
  on("magnify", () => { magnifier.toggle(); press(byId("magnify"), magnifier.on); });
  const difference = () => {
    viewer.pair = byId("pair").value;
    viewer.gain = Number(byId("gain").value);
    say(`Difference of ${viewer.pair[0]} and ${viewer.pair[1]}, ${viewer.gain} times`);
    viewer.draw();
  };
  on("pair", difference, "change");
  on("gain", difference, "change");
  on("help-button", help);
  on("help-close", () => byId("help").close());
  on("help", (event) => event.target === byId("help") && byId("help").close());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => viewer.draw());
  player.onstate = showState;
  viewer.onview = showView;
  onKeys({ player, viewer, magnifier, setMode, help });
  onPointers({ viewer, magnifier });
};

fillIn();
connect();
byId("seek").max = count - 1;
if (matchMedia("(prefers-reduced-motion: reduce)").matches) byId("loop").click();
setMode("divider");
player.seek(0).catch(() => (byId("loading").textContent = "This browser cannot decode WebP pictures."));
