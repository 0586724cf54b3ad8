const HEADER = "X-Juggernaut-Client";
const FIELD = "juggernaut_client";

/**
 * Let this site know which tab its requests come from, so that what they cause need not be sent back to it.
 *
 * @param {() => string} client gives this tab's id
 */
export function markOwnRequests(client) {
  /** @type {SubmitEvent | null} */
  let submit = null;
  // "formdata" does not say which button it was, and a button may name another address or method.
  addEventListener("submit", (event) => (submit = event), true);
  addEventListener("formdata", ({ target, formData }) => {
    const form = /** @type {HTMLFormElement} */ (target);
    const isOwn = isOwnPost(form, submit?.target === form ? submit.submitter : null);
    submit = null;
    if (isOwn && !formData.has(FIELD)) formData.set(FIELD, client());
  });
  addEventListener("htmx:configRequest", (event) => {
    const { path, headers } = /** @type {CustomEvent} */ (event).detail;
    if (isOwnSite(path)) headers[HEADER] = client();
  });
  addEventListener("turbo:before-fetch-request", (event) => {
    const { url, fetchOptions } = /** @type {CustomEvent} */ (event).detail;
    if (isOwnSite(url)) fetchOptions.headers[HEADER] = client();
  });
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 */
function isOwnPost(form, submitter) {
  // Not form.action and form.method: a field of that name, as in Django's admin, hides them.
  const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method");
  const action = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  return method?.toLowerCase() === "post" && isOwnSite(action);
}

/** @param {string | URL | null | undefined} url nothing: the page's own */
function isOwnSite(url) {
  try {
    return new URL(url || location.href, document.baseURI).origin === location.origin;
  } catch {
    return false;
  }
}
