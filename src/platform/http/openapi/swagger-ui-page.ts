/** The script and the style of the Swagger UI page, which its policy has in files of their own. */

/**
 * Three changes to Swagger UI: a refusal is one line until it is opened, since a dozen of them with examples and
 * headers make an operation ten screens high; a token is stored as long as the tab and not in local storage; the filter
 * is on.
 */
export const START = `'use strict';
const KEPT = 'authorization of this tab';

const collapsedRefusals = ({ React }) => ({
  wrapComponents: {
    response: (Original) => (props) => {
      const [open, setOpen] = React.useState(!/^([45]|default)/.test(props.code));
      if (open) return React.createElement(Original, props);
      const text = String(props.response.get('description') || '').split('\\n')[0];
      const button = { type: 'button', className: 'refusal', onClick: () => setOpen(true), title: 'Show example and headers' };
      return React.createElement('tr', { className: 'response', 'data-code': props.code },
        React.createElement('td', { className: 'response-col_status' }, props.code),
        React.createElement('td', { className: 'response-col_description', colSpan: 2 },
          React.createElement('button', button, text)));
    },
  },
});

const keptInTab = () => {
  const keep = (original, system) => (payload) => {
    const result = original(payload);
    sessionStorage.setItem(KEPT, JSON.stringify(system.authSelectors.authorized().toJS()));
    return result;
  };
  return { statePlugins: { auth: { wrapActions: { authorize: keep, logout: keep } } } };
};

const ui = SwaggerUIBundle({
  url: new URL('../openapi.json', document.currentScript.src).href,
  dom_id: '#swagger-ui',
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [collapsedRefusals, keptInTab],
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  requestSnippetsEnabled: true,
  validatorUrl: null,
  onComplete: () => {
    const kept = sessionStorage.getItem(KEPT);
    if (kept) ui.authActions.authorize(JSON.parse(kept));
  },
});
`;

/** Authorize is above the guide, which is long. */
export const STYLE = `body { margin: 0; background: #fafafa; }
.swagger-ui div:has(> .scheme-container) { display: flex; flex-direction: column; }
.swagger-ui .scheme-container { order: -1; margin: 0; padding: 12px 0; }
.swagger-ui .refusal { all: unset; cursor: pointer; font-size: 14px; }
.swagger-ui .refusal:hover, .swagger-ui .refusal:focus-visible { text-decoration: underline; }
`;
