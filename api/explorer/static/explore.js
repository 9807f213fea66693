// The explore and SQL pages: links are copied, dimensions that a measure lacks are switched off, Ctrl+Enter runs a statement.

const said = document.getElementById("said");

for (const link of document.querySelectorAll("[data-share]")) {
  link.addEventListener("click", async (event) => {
    if (!navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const words = link.textContent;
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = "Copied";
      said.textContent = "The link was copied. It shows these figures whatever comes later.";
      setTimeout(() => { link.textContent = words; }, 2000);
    } catch {
      location.href = link.href;
    }
  });
}

const statement = document.getElementById("statement");
statement?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); statement.requestSubmit(); }
});
statement?.addEventListener("submit", () => {
  const button = statement.querySelector("button");
  button.disabled = true;
  button.textContent = "Running …";
  addEventListener("pageshow", () => { button.disabled = false; button.textContent = "Run"; });
});

const OF_ORDERS = new Set(["order_count", "order_revenue", "average_order_value"]);
const question = document.getElementById("question");
function fit() {
  const isOrders = OF_ORDERS.has(question.elements.measure.value);
  const lacking = isOrders ? "category" : "payment_method";
  for (const name of ["by", "split"]) {
    const select = question.elements[name];
    for (const option of select.options) option.disabled = option.value === lacking;
    if (select.value === lacking) select.value = name === "by" ? "time" : "";
  }
  question.elements.category.disabled = isOrders;
  question.elements.payment_method.disabled = !isOrders;
  question.elements.interval.disabled = question.elements.by.value !== "time" && question.elements.split.value !== "time";
}
if (question) { question.addEventListener("change", fit); fit(); }
