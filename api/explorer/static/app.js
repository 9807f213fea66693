// What every page does: the menu on a phone, the choice of light or dark, and drawing the charts that the page carries.
import { drawAll } from "./charts.js";

function menu() {
  const button = document.getElementById("menu");
  const rail = document.getElementById("pages");
  if (!button || !rail) return;
  button.setAttribute("role", "button");
  const show = (open) => {
    rail.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "Close" : "Menu";
  };
  button.addEventListener("click", (event) => {
    event.preventDefault();
    show(!rail.classList.contains("open"));
    if (rail.classList.contains("open")) rail.querySelector("a")?.focus();
  });
  button.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); button.click(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && rail.classList.contains("open")) { show(false); button.focus(); }
  });
}

function theme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    if (!button) return;
    button.hidden = false;
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  button?.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    name();
    drawAll();
  });
  system.addEventListener("change", () => { name(); drawAll(); });
  name();
}

menu();
theme();
drawAll();
