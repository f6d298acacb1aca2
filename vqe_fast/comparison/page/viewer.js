// Draws the pictures of a moment: which of them, how large, which part.
const MODES = [
  { id: "divider", name: "Divider", title: "A left, B right of the divider" },
  { id: "side", name: "Side by side", title: "All videos beside each other" },
  { id: "A", name: "A", title: "A only" },
  { id: "B", name: "B", title: "B only" },
  { id: "R", name: "R", title: "The reference only" },
  { id: "difference", name: "Difference", title: "The absolute difference, amplified" },
];
const LARGEST_ZOOM = 32;

class Viewer {
  constructor(canvas, labels, divider, { videos, width, height }) {
    Object.assign(this, { canvas, labels, divider, width, height });
    this.letters = videos.map((video) => video.letter);
    this.names = Object.fromEntries(videos.map((video) => [video.letter, video.name]));
    this.context = canvas.getContext("2d", { alpha: false });
    this.scratch = document.createElement("canvas");
    this.scratch.width = width;
    this.scratch.height = height;
    this.mode = "divider";
    this.split = 0.5; // of the visible part of the picture
    this.scale = null; // device pixels per pixel of the picture; null to fit
    this.center = [width / 2, height / 2];
    this.pair = "AB";
    this.gain = 8;
    this.bitmaps = null;
    this.onview = () => {};
    this.resize(); // the observer's first call waits for a frame, which a busy machine draws late
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  resize() {
    const { width, height } = this.canvas.parentElement.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.ratio));
    this.draw();
  }

  // The parts of the canvas, each with what it shows, in device pixels.
  panes() {
    const { width, height } = this.canvas;
    if (this.mode !== "side") return [{ shows: this.mode, x: 0, y: 0, w: width, h: height }];
    const count = this.letters.length;
    const gap = Math.round(2 * this.ratio);
    const grids = this.letters.map((_, i) => {
      const [columns, rows] = [i + 1, Math.ceil(count / (i + 1))];
      const w = Math.floor((width - gap * (columns - 1)) / columns);
      const h = Math.floor((height - gap * (rows - 1)) / rows);
      return { columns, w, h, scale: Math.min(w / this.width, h / this.height) };
    });
    const { columns, w, h } = grids.reduce((best, grid) => (grid.scale > best.scale ? grid : best));
    return this.letters.map((shows, i) => {
      const [x, y] = [(i % columns) * (w + gap), Math.floor(i / columns) * (h + gap)];
      return { shows, x, y, w, h };
    });
  }

  // Whole multiples keep all pixels alike.
  fitting(pane = this.panes()[0]) {
    const scale = Math.min(pane.w / this.width, pane.h / this.height);
    return scale >= 2 ? Math.floor(scale) : scale;
  }

  currentScale() {
    return this.scale ?? this.fitting();
  }

  // Where the whole picture would lie on the canvas.
  place(pane) {
    const scale = this.currentScale();
    const [w, h] = [this.width * scale, this.height * scale];
    const bounded = (center, size, room) => {
      const half = room / 2 / scale;
      return half * 2 >= size ? size / 2 : Math.min(Math.max(center, half), size - half);
    };
    this.center = [
      bounded(this.center[0], this.width, pane.w),
      bounded(this.center[1], this.height, pane.h),
    ];
    const x = Math.round(pane.x + pane.w / 2 - this.center[0] * scale);
    const y = Math.round(pane.y + pane.h / 2 - this.center[1] * scale);
    return { x, y, w, h, scale };
  }

  // The visible part of it.
  visible(pane, place = this.place(pane)) {
    const x = Math.max(place.x, pane.x);
    const y = Math.max(place.y, pane.y);
    const right = Math.min(place.x + place.w, pane.x + pane.w);
    const bottom = Math.min(place.y + place.h, pane.y + pane.h);
    return { x, y, w: right - x, h: bottom - y };
  }

  show(bitmaps) {
    this.bitmaps = bitmaps;
    this.draw();
  }

  draw() {
    if (!this.bitmaps || !this.ratio) return;
    const { context, canvas } = this;
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--stage");
    context.fillRect(0, 0, canvas.width, canvas.height);
    const panes = this.panes();
    for (const pane of panes) {
      const place = this.place(pane);
      if (pane.shows === "divider") this.drawDivided(pane, place);
      else if (pane.shows === "difference") this.drawPart(this.difference(), place, pane);
      else this.drawPart(this.bitmaps[pane.shows], place, pane);
    }
    this.placeDivider(panes[0]);
    this.placeLabels(panes);
    this.onview();
  }

  drawDivided(pane, place) {
    const seen = this.visible(pane, place);
    const at = Math.round(seen.x + seen.w * this.split);
    this.drawPart(this.bitmaps.A, place, { ...pane, w: at - pane.x });
    this.drawPart(this.bitmaps.B, place, { ...pane, x: at, w: pane.x + pane.w - at });
  }

  drawPart(image, place, part) {
    if (part.w <= 0) return;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(part.x, part.y, part.w, part.h);
    context.clip();
    context.imageSmoothingEnabled = place.scale < 2 && place.scale !== 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, place.x, place.y, place.w, place.h);
    context.restore();
  }

  // |X - Y| by channel; adding it to itself doubles it, and what is too bright stays white.
  difference() {
    const { scratch, bitmaps, gain, pair } = this;
    const context = scratch.getContext("2d", { alpha: false });
    context.globalCompositeOperation = "copy";
    context.drawImage(bitmaps[pair[0]], 0, 0);
    context.globalCompositeOperation = "difference";
    context.drawImage(bitmaps[pair[1]], 0, 0);
    context.globalCompositeOperation = "lighter";
    for (let reached = 1; reached < gain; reached *= 2) context.drawImage(scratch, 0, 0);
    return scratch;
  }

  placeDivider(pane) {
    const { divider, ratio } = this;
    divider.hidden = this.mode !== "divider";
    if (divider.hidden) return;
    const seen = this.visible(pane);
    divider.style.left = `${(seen.x + seen.w * this.split) / ratio}px`;
    divider.style.top = `${seen.y / ratio}px`;
    divider.style.height = `${seen.h / ratio}px`;
    const percent = Math.round(this.split * 100);
    divider.setAttribute("aria-valuenow", percent);
    divider.setAttribute("aria-valuetext", `A ${percent}%, B ${100 - percent}%`);
  }

  placeLabels(panes) {
    const { labels, ratio } = this;
    labels.replaceChildren();
    const add = (letter, pane, end) => {
      const label = document.createElement("span");
      label.className = `label of-${letter}`;
      const name = letter.length > 1 ? `|${letter[0]} − ${letter[1]}| × ${this.gain}` : letter;
      const file = document.createElement("small");
      file.textContent = this.names[letter] ?? "";
      label.append(name, file);
      label.style.maxWidth = `${pane.w / ratio / (this.mode === "divider" ? 2 : 1) - 20}px`;
      label.style.top = `${pane.y / ratio}px`;
      if (end) label.style.right = `${(this.canvas.width - pane.x - pane.w) / ratio}px`;
      else label.style.left = `${pane.x / ratio}px`;
      labels.append(label);
    };
    for (const pane of panes) {
      const seen = this.visible(pane);
      if (pane.shows !== "divider") add(pane.shows === "difference" ? this.pair : pane.shows, seen);
      else {
        add("A", seen);
        add("B", seen, true);
      }
    }
  }

  // The pane and the pixel of the picture under a point, in CSS pixels of the canvas.
  at(x, y) {
    const [dx, dy] = [x * this.ratio, y * this.ratio];
    const panes = this.panes();
    const inside = (p) => dx >= p.x && dx < p.x + p.w && dy >= p.y && dy < p.y + p.h;
    const pane = panes.find(inside) ?? panes[0];
    const place = this.place(pane);
    return { pane, x: (dx - place.x) / place.scale, y: (dy - place.y) / place.scale };
  }

  // Zooms, and keeps the point under (x, y) where it is; in the middle by default.
  zoomTo(scale, x = null, y = null) {
    const smallest = Math.min(this.fitting(), 1);
    const next = scale === null ? null : Math.min(Math.max(scale, smallest), LARGEST_ZOOM);
    if (next !== null && x !== null) {
      const found = this.at(x, y);
      const { pane } = found;
      this.center = [
        found.x - (x * this.ratio - pane.x - pane.w / 2) / next,
        found.y - (y * this.ratio - pane.y - pane.h / 2) / next,
      ];
    }
    this.scale = next;
    this.draw();
  }

  zoomStep(direction, x, y) {
    const steps = [0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
    const now = this.currentScale();
    const next =
      direction > 0
        ? steps.find((step) => step > now * 1.001)
        : steps.findLast((step) => step < now / 1.001);
    this.zoomTo(next ?? now, x, y);
  }

  // Moves the picture by CSS pixels.
  pan(dx, dy) {
    const scale = this.currentScale();
    this.center = [
      this.center[0] - (dx * this.ratio) / scale,
      this.center[1] - (dy * this.ratio) / scale,
    ];
    this.draw();
  }

  moveDivider(split) {
    this.split = Math.min(Math.max(split, 0), 1);
    this.draw();
  }

  dragDivider(x) {
    const seen = this.visible(this.panes()[0]);
    this.moveDivider((x * this.ratio - seen.x) / seen.w);
  }
}
