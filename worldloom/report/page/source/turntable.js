// Rendered pictures round the scene, one strip: a slider turns it, a button lets it run.

const FRAME_MS = 120;

export function startTurntable() {
  const root = document.getElementById("turntable");
  if (!root) return;
  const strip = root.querySelector(".strip");
  const slider = root.querySelector("input");
  const button = root.querySelector("button");
  const columns = Number(root.dataset.columns);
  const rows = Number(root.dataset.rows);
  const count = Number(slider.max) + 1;
  let timer = 0;

  const show = () => {
    const frame = Number(slider.value);
    const x = frame % columns;
    const y = Math.floor(frame / columns);
    strip.style.backgroundPosition =
      `${(100 * x) / Math.max(columns - 1, 1)}% ${(100 * y) / Math.max(rows - 1, 1)}%`;
    slider.setAttribute("aria-valuetext", `${Math.round((360 * frame) / count)} degrees`);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  slider.addEventListener("input", () => {
    stop();
    show();
  });
  button.addEventListener("click", () => {
    if (timer) return stop();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = String((Number(slider.value) + 1) % count);
      show();
    }, FRAME_MS);
  });
  root.querySelector(".controls").hidden = false;
  show();
}
