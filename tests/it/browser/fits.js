// What does not fit: scrolling sideways, and targets too small to hit (WCAG 2.5.8, 24 by 24 CSS pixels).
const problems = [];
const page = document.scrollingElement;
if (page.scrollWidth > page.clientWidth) {
    problems.push(`the page is ${page.scrollWidth} px wide in a window of ${page.clientWidth} px`);
}
const told = (element) =>
    `<${element.localName}> ${JSON.stringify(element.innerText || element.value || element.ariaLabel || '')}`;
// A link within a sentence is as high as its line: what the criterion excepts.
const inSentence = (element) =>
    getComputedStyle(element).display === 'inline' &&
    [...element.parentElement.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && /\p{L}/u.test(node.data));
// A control and its labels are one target.
const extent = (element) => {
    const boxes = [element, ...(element.labels ?? [])].map((part) => part.getBoundingClientRect());
    return ['width', 'height'].map((side) => Math.max(...boxes.map((box) => box[side])));
};
const interactive =
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [tabindex]:not([tabindex="-1"])';
for (const element of document.querySelectorAll(interactive)) {
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!visible || element.disabled || inSentence(element)) continue;
    const [width, height] = extent(element);
    // Of a pixel at most is what only screen readers and the keyboard shall find.
    if (width > 1 && height > 1 && (width < 24 || height < 24)) {
        problems.push(`${told(element)} is ${Math.round(width)} by ${Math.round(height)} px`);
    }
}
return problems;
