// Look closer at the image in a frame: keys, wheel, double click, drag, two fingers.

const STEPS = [1, 2, 4, 8];
const LARGEST = 16;

export function makeZoom(frame, image, onLook) {
  let scale = 1, left = 0, top = 0;
  const fingers = new Map();

  function apply() {
    left = Math.min(0, Math.max(left, frame.clientWidth * (1 - scale)));
    top = Math.min(0, Math.max(top, frame.clientHeight * (1 - scale)));
    image.style.transform = scale === 1 ? "" : `translate(${left}px, ${top}px) scale(${scale})`;
    frame.classList.toggle("zoomed", scale > 1);
    onLook(scale);
  }

  // The point (x, y) of the frame stays where it is.
  function zoomTo(wanted, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    const next = Math.min(LARGEST, Math.max(1, wanted));
    left = x - (x - left) * next / scale;
    top = y - (y - top) * next / scale;
    scale = next;
    apply();
  }

  const at = (event) => {
    const box = frame.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(scale * 2 ** (-event.deltaY / 300), ...at(event));
  }, { passive: false });
  frame.addEventListener("dblclick", (event) => zoomTo(scale > 1 ? 1 : 3, ...at(event)));
  frame.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, at(event));
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    if (other) {
      zoomTo(scale * distance(now, other) / Math.max(1, distance(before, other)), ...other);
    } else if (scale > 1) {
      pan(now[0] - before[0], now[1] - before[1]);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    frame.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }

  function pan(right, down) {
    left += right;
    top += down;
    apply();
  }

  return {
    isZoomed: () => scale > 1,
    step: () => zoomTo(STEPS.find((each) => each > scale) ?? 1),
    whole: () => zoomTo(1),
    // An arrow looks to its side, so the image goes to the other.
    look: (right, down) => pan(-right * frame.clientWidth / 6, -down * frame.clientHeight / 6),
  };
}

const distance = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
