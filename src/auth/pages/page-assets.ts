/** The script and the style of the pages behind the links in mails. */

/** Reads the token from the fragment, takes it out of the address, and sends it with the form. */
export const FORM_SCRIPT = `'use strict';
const token = new URLSearchParams(location.hash.slice(1)).get('token');
history.replaceState(null, '', location.pathname);
const form = document.querySelector('form');
const outcome = document.querySelector('#outcome');
const button = form.querySelector('button');
if (!token) {
  outcome.textContent = 'The link is incomplete: open it from the mail again.';
  button.disabled = true;
}
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  outcome.textContent = '';
  const body = { token };
  for (const [name, value] of new FormData(form)) if (value !== '') body[name] = value;
  try {
    const response = await fetch(form.dataset.action, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      credentials: 'omit',
    });
    if (response.ok) {
      form.hidden = true;
      outcome.textContent = form.dataset.done;
      return;
    }
    const problem = await response.json();
    const faults = (problem.errors || []).map((fault) => fault.field + ' ' + fault.message);
    outcome.textContent = faults.length > 0 ? faults.join('; ') : problem.detail;
  } catch {
    outcome.textContent = 'The service could not be reached: try again.';
  }
  button.disabled = false;
});
`;

export const FORM_STYLE = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }
label { display: block; margin: 1rem 0; }
input { display: block; width: 100%; box-sizing: border-box; padding: 0.5rem; font: inherit; }
button { padding: 0.5rem 1rem; font: inherit; }
`;
