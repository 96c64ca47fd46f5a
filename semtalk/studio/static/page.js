// The viewer says which words are asked for, and what they are; the boxes of the page hold it. And any file may be a voice.
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
    for (const id of ["emphasise", "calm", "words"]) {  // when the words change, what is asked of them is known
      if (typeof event.data[id] === "string") put(id, event.data[id]);
    }
  });

  // By their names webm and mp4 are videos, which Gradio's box of sound refuses; the studio looks at what is in a file.
  const asSound = (files) => {
    const sounds = new DataTransfer();
    for (const file of files) sounds.items.add(new File([file], file.name, { type: "audio/wav" }));
    return sounds;
  };
  const chosen = (event) => event.target.matches?.("#audio input[type=file]");
  document.addEventListener("click", (event) => {
    if (chosen(event)) event.target.accept = "audio/*,.webm,.mp4";
  }, true);
  document.addEventListener("change", (event) => {
    if (chosen(event)) event.target.files = asSound(event.target.files).files;
  }, true);
  let again = false;
  document.addEventListener("drop", (event) => {
    if (again || !event.target.closest?.("#audio") || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    again = true;
    const dataTransfer = asSound(event.dataTransfer.files);
    event.target.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
    again = false;
  }, true);
})();
