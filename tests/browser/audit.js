// What a page owes to people who cannot see it well, or not at all: returns what is missing, as
// sentences. Reads the page as it stands; changes nothing.
(() => {
  const found = [];
  const describe = (element) => {
    const { testid } = element.dataset;
    const text = element.textContent.trim().slice(0, 30);
    return `<${element.localName}${testid ? ` ${testid}` : ""}> ${JSON.stringify(text)}`;
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const isShown = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility({ visibilityProperty: true });
  };
  const isHidden = (element) => element.closest('[aria-hidden="true"], [hidden]') !== null;
  const refersToText = (element, attribute) =>
    (element.getAttribute(attribute) ?? "").split(/\s+/).some((id) =>
      document.getElementById(id)?.textContent.trim()
    );
  const isNamed = (element) =>
    Boolean(element.getAttribute("aria-label")?.trim()) ||
    refersToText(element, "aria-labelledby") ||
    Boolean(element.labels?.length && element.labels[0].textContent.trim()) ||
    (!("labels" in element && element.localName !== "button") &&
      Boolean(element.textContent.trim()));

  const count = (selector, least, most, what) => {
    const number = all(selector).filter((element) => !isHidden(element)).length;
    if (number < least || number > most) found.push(`${what}: ${number}`);
  };
  count("h1", 1, 1, "headings of the first level");
  count("main", 1, 1, "main landmarks");
  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title) found.push("the page has no title");

  for (const element of all("input, select, textarea, button, a, summary")) {
    if (!isHidden(element) && !isNamed(element)) found.push(`no name: ${describe(element)}`);
  }
  for (const image of all("img")) {
    if (!image.hasAttribute("alt")) found.push(`no alternative text: ${image.src}`);
  }
  for (const image of all("svg")) {
    if (!isHidden(image) && !image.querySelector("title") && !image.getAttribute("aria-label")) {
      found.push(`a drawing without words: ${describe(image.parentElement)}`);
    }
  }
  for (const region of all("section, nav, [role=region]")) {
    if (
      !isHidden(region) && !region.getAttribute("aria-label") &&
      !refersToText(region, "aria-labelledby")
    ) found.push(`no name: ${describe(region)}`);
  }
  const ids = all("[id]").map(({ id }) => id);
  for (const id of new Set(ids)) {
    if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`an id that is not unique: ${id}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter((one) => !isHidden(one))) {
    const next = Number(heading.localName.slice(1));
    if (next > level + 1 && level > 0) found.push(`a level is left out: ${describe(heading)}`);
    level = next;
  }

  // Any notation of a colour becomes numbers by painting one pixel of it.
  const paper = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const read = (colour) => {
    paper.clearRect(0, 0, 1, 1);
    paper.fillStyle = colour;
    paper.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = paper.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (
    [r, g, b, a],
    [R, G, B],
  ) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const backdrop = (element) => {
    const layers = [];
    for (let at = element; at !== null; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const colour = read(style.backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let looked = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || isHidden(element) || !isShown(element)) continue;
    if (element.closest(":disabled, script, style, svg")) continue;
    const behind = backdrop(element);
    if (behind === null) continue;
    looked += 1;
    const ink = over(read(getComputedStyle(element).color), behind);
    const [lighter, darker] = [luminance(ink), luminance(behind)].sort((a, b) => b - a);
    const contrast = (lighter + 0.05) / (darker + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)}: ${describe(element)}`);
  }
  if (looked === 0) found.push("there is no text");
  return found;
});
