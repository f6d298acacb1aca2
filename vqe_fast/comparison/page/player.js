// Which frame is shown, and when the next one is due. No frame is skipped: where decoding is
// slower than the video, the video plays slower.
class Player {
  constructor(pictures, seconds, show) {
    this.pictures = pictures;
    this.seconds = seconds;
    this.show = show; // called with bitmaps after each change of frame
    this.index = 0;
    this.wanted = 0;
    this.playing = false;
    this.loop = true;
    this.speed = 1;
    this.onstate = () => {};
    const steps = seconds.slice(1).map((each, i) => each - seconds[i]);
    this.usual = steps.length ? steps.sort((a, b) => a - b)[steps.length >> 1] : 0.04;
  }

  get last() {
    return this.seconds.length - 1;
  }

  async seek(index) {
    this.wanted = Math.min(Math.max(Math.round(index), 0), this.last);
    const target = this.wanted;
    const bitmaps = await this.pictures.ask(target);
    if (target !== this.wanted) return; // another frame was asked for meanwhile
    this.index = target;
    this.pictures.hold(bitmaps);
    this.show(bitmaps);
  }

  step(by) {
    this.pause();
    return this.seek(this.wanted + by);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.onstate();
  }

  async play() {
    if (this.last === 0) return;
    this.playing = true;
    this.onstate();
    if (this.index === this.last) await this.seek(0);
    let due = performance.now() + this.duration();
    const tick = async (now) => {
      if (!this.playing) return;
      if (now >= due - 2) {
        if (this.index === this.last && !this.loop) return this.pause();
        await this.seek(this.index === this.last ? 0 : this.index + 1);
        due = Math.max(due, now - this.duration()) + this.duration();
      }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  // Milliseconds that the frame stays.
  duration() {
    const next = this.seconds[this.index + 1];
    const seconds = next === undefined ? this.usual : next - this.seconds[this.index];
    return (1000 * seconds) / this.speed;
  }
}
