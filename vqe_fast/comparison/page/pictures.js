// The pictures in this page, decoded before they are needed as far as memory allows.
class Pictures {
  constructor(letters, count, width, height) {
    this.letters = letters;
    this.count = count;
    const small = matchMedia("(pointer: coarse)").matches;
    const room = (small ? 160 : 640) * 1e6; // bytes
    this.room = Math.max(3, Math.floor(room / (width * height * 4 * letters.length)));
    this.from = 0; // the moment asked for
    this.held = null; // the bitmaps on the screen, which stay
    this.blobs = new Map();
    this.ready = new Map(); // index -> bitmaps by letter
    this.waiting = new Map(); // index -> promise of them
  }

  // Bitmaps of the moment that is to be shown now.
  ask(index) {
    this.from = index;
    return this.load(index);
  }

  load(index) {
    if (this.ready.has(index)) return Promise.resolve(this.ready.get(index));
    if (!this.waiting.has(index)) {
      const promise = this.decode(index).finally(() => this.waiting.delete(index));
      this.waiting.set(index, promise);
    }
    return this.waiting.get(index);
  }

  // Says what is on the screen; the moments after it are decoded in their order.
  hold(bitmaps) {
    this.held = bitmaps;
    this.fill();
  }

  fill() {
    const depth = Math.min(this.room, this.count) - 1;
    for (let i = 1; i <= depth && this.waiting.size < 3; i++) {
      const next = (this.from + i) % this.count;
      if (this.ready.has(next) || this.waiting.has(next)) continue;
      this.load(next).then(() => this.fill());
    }
  }

  async decode(index) {
    const bitmaps = await Promise.all(
      this.letters.map((letter) => createImageBitmap(this.blob(letter + index))),
    );
    const found = {};
    this.letters.forEach((letter, i) => (found[letter] = bitmaps[i]));
    this.ready.set(index, found);
    while (this.ready.size > this.room) this.forget();
    return found;
  }

  // Lets go of the moment that will be shown last.
  forget() {
    const wait = (index) => (index - this.from + this.count) % this.count;
    const free = [...this.ready.keys()].filter((index) => this.ready.get(index) !== this.held);
    const last = free.reduce((worst, index) => (wait(index) > wait(worst) ? index : worst));
    Object.values(this.ready.get(last)).forEach((bitmap) => bitmap.close());
    this.ready.delete(last);
  }

  blob(name) {
    if (!this.blobs.has(name)) {
      const element = document.getElementById(name);
      const text = atob(element.textContent);
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
      element.remove(); // its text would take memory twice
      this.blobs.set(name, new Blob([bytes], { type: "image/webp" }));
    }
    return this.blobs.get(name);
  }
}
