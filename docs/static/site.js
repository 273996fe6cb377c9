// What Sphinx leaves out for readers without a mouse or a screen: levels of captions, and keys for what scrolls.
const captions = document.querySelectorAll('[role="heading"]:not([aria-level])');
captions.forEach((caption) => caption.setAttribute("aria-level", "2"));
document.querySelectorAll("pre, .content table, .table-wrapper, div.math").forEach((box) => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
});
