// The viewer says which words are asked for, and what they are; the boxes of the page hold it.
(() => {
  const light = () => document.body.classList.remove("dark");
  new MutationObserver(light).observe(document.documentElement, { subtree: true, attributeFilter: ["class"] });
  const put = (id, value) => {
    const box = document.querySelector(`#${id} textarea, #${id} input`);
    if (!box || box.value === value) return;
    const kind = box.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(box, value);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  window.addEventListener("message", (event) => {
    const viewer = document.querySelector("#viewer");
    if (event.origin !== location.origin || !viewer || event.source !== viewer.contentWindow) return;
    for (const id of ["emphasise", "calm", "words"]) {
      if (typeof event.data[id] === "string") put(id, event.data[id]);
    }
  });
})();
