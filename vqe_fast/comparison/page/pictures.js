// The pictures in this page, decoded when they are needed.
class Pictures {
  constructor(letters, count, width, height) {
    this.letters = letters;
    this.count = count;
    const small = matchMedia("(pointer: coarse)").matches;
    const room = (small ? 160 : 640) * 1e6;
    const each = width * height * 4 * letters.length;
    this.room = Math.max(3, Math.floor(room / each));
    this.held = null; // the bitmaps on the screen, which stay
    this.blobs = new Map();
    this.ready = new Map(); // index -> bitmaps, least recently used first
    this.waiting = new Map(); // index -> promise of them
  }

  // The bitmaps of a moment by letter, or undefined where they are not decoded yet.
  get(index) {
    const found = this.ready.get(index);
    if (found) {
      this.ready.delete(index);
      this.ready.set(index, found);
    }
    return found;
  }

  load(index) {
    const found = this.get(index);
    if (found) return Promise.resolve(found);
    if (!this.waiting.has(index)) {
      const promise = this.decode(index).finally(() => this.waiting.delete(index));
      this.waiting.set(index, promise);
    }
    return this.waiting.get(index);
  }

  // Decodes what will be shown next, if nothing else is being decoded.
  ahead(index, step) {
    const depth = Math.min(this.room - 2, 6);
    for (let i = 1; i <= depth; i++) {
      const next = (index + i * step + this.count) % this.count;
      if (this.waiting.size < 3 && !this.ready.has(next)) this.load(next);
    }
  }

  async decode(index) {
    const bitmaps = await Promise.all(
      this.letters.map((letter) => createImageBitmap(this.blob(letter + index))),
    );
    const found = {};
    this.letters.forEach((letter, i) => (found[letter] = bitmaps[i]));
    this.ready.set(index, found);
    for (const [oldest, old] of this.ready) {
      if (this.ready.size <= this.room) break;
      if (old === this.held) continue;
      this.ready.delete(oldest);
      Object.values(old).forEach((bitmap) => bitmap.close());
    }
    return found;
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
