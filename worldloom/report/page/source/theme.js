// Light or dark: what the system asks for, until the reader chooses.

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function startTheme() {
  const button = document.getElementById("theme");
  const show = () => {
    const dark = isDark();
    button.textContent = dark ? "Light page" : "Dark page";
    document.dispatchEvent(new CustomEvent("themechange", { detail: { dark } }));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}
