// The list of clips, sorted by the score that the reader picks, the worst first.

class Chooser {
  constructor(list, sort, choose) {
    this.list = list;
    this.sort = sort; // null where no clip has a score
    this.items = [...list.children].sort((a, b) => a.dataset.clip - b.dataset.clip);
    this.items.forEach((item, number) => item.firstElementChild.addEventListener("click", () => choose(number)));
    if (sort) {
      sort.addEventListener("change", () => this.arrange());
      this.arrange();
    }
  }

  arrange() {
    const metric = this.sort.value;
    this.items.forEach((item, number) => {
      item.querySelector(".clip-score").textContent = report.scores[number][metric];
    });
    this.list.append(...report.orders[metric].map((number) => this.items[number]));
  }

  get top() {
    return Number(this.list.firstElementChild.dataset.clip);
  }

  mark(chosen) {
    this.items.forEach((item, number) => {
      item.firstElementChild.setAttribute("aria-pressed", String(number === chosen));
    });
  }
}
