// The same few pixels of all videos, large.
const MAGNIFIED = 24; // pixels of the picture, each way

class Magnifier {
  constructor(figure, viewer) {
    this.figure = figure;
    this.viewer = viewer;
    this.canvas = figure.querySelector("canvas");
    this.caption = figure.querySelector("figcaption");
    this.spot = [viewer.width >> 1, viewer.height >> 1];
  }

  get on() {
    return !this.figure.hidden;
  }

  toggle() {
    this.figure.hidden = this.on;
    this.viewer.draw();
  }

  move(dx, dy) {
    this.aim(this.spot[0] + dx, this.spot[1] + dy);
  }

  aim(x, y) {
    const { width, height } = this.viewer;
    const bounded = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
    this.spot = [bounded(x, width), bounded(y, height)];
    this.viewer.draw();
  }

  draw() {
    const { viewer, canvas, spot } = this;
    if (!this.on || !viewer.bitmaps) return;
    const { letters, ratio } = viewer;
    const room = viewer.canvas.width / ratio;
    const times = Math.max(2, Math.round(Math.min(6, (room - 40) / letters.length / MAGNIFIED) * ratio));
    const side = MAGNIFIED * times;
    const gap = Math.round(2 * ratio);
    canvas.width = letters.length * side + (letters.length - 1) * gap;
    canvas.height = side;
    canvas.style.width = `${canvas.width / ratio}px`;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    const [left, top] = spot.map((each) => each - MAGNIFIED / 2);
    letters.forEach((letter, i) => {
      const x = i * (side + gap);
      context.save();
      context.beginPath();
      context.rect(x, 0, side, side);
      context.clip();
      context.drawImage(
        viewer.bitmaps[letter],
        x - left * times, -top * times, viewer.width * times, viewer.height * times,
      );
      context.restore();
    });
    this.caption.textContent = `${letters.join(" | ")} at x ${spot[0]}, y ${spot[1]}`;
    this.mark(left, top);
  }

  // A frame around what is magnified, and the magnifier on the other side.
  mark(left, top) {
    const { viewer, figure } = this;
    const { context, ratio } = viewer;
    let middle = [0, 0];
    for (const pane of viewer.panes()) {
      const place = viewer.place(pane);
      const side = MAGNIFIED * place.scale;
      const [x, y] = [place.x + left * place.scale, place.y + top * place.scale];
      context.save();
      context.beginPath();
      context.rect(pane.x, pane.y, pane.w, pane.h);
      context.clip();
      for (const [colour, width] of [["#000", 3 * ratio], ["#fff", ratio]]) {
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.strokeRect(x, y, side, side);
      }
      context.restore();
      middle = [x + side / 2, y + side / 2];
    }
    figure.classList.toggle("at-top", middle[1] > viewer.canvas.height / 2);
    figure.classList.toggle("at-right", middle[0] < viewer.canvas.width / 2);
  }
}
