/** The one layout of all mails: plain text, and HTML that looks the same without images, fonts or scripts. */

/** The content of a mail. */
export interface MailContent {
  subject: string;
  /** Sentences; text of users in them has passed {@link chosen}. */
  paragraphs: readonly string[];
  /** The one link, as a button. */
  action?: { label: string; url: string };
  /** Facts, such as where and when. */
  details?: readonly (readonly [label: string, value: string])[];
  /** The advice for a reader who did not expect the mail. */
  closing?: string;
}

/** A joiner of no width: it keeps mail programs from making a link of a name such as `evil.example`. */
const WORD_JOINER = '\u2060';

/** A text that a person chose, such as the name of a company: one line, and never a link. */
export function chosen(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/(?<=\S)[.:/@](?=\S)/g, (found) => found + WORD_JOINER);
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] as string);
}

export function toText({ paragraphs, action, details, closing }: MailContent): string {
  const parts = [
    ...paragraphs,
    ...(action ? [`${action.label}:\n${action.url}`] : []),
    ...(details && details.length > 0 ? [details.map(([label, value]) => `${label}: ${value}`).join('\n')] : []),
    ...(closing === undefined ? [] : [closing]),
  ];
  return `${parts.join('\n\n')}\n`;
}

export function toHtml({ subject, paragraphs, action, details, closing }: MailContent): string {
  const text = (body: string, style = ''): string => `<p style="margin:0 0 16px;${style}">${escapeHtml(body)}</p>`;
  const button =
    action &&
    `<p style="margin:24px 0"><a href="${escapeHtml(action.url)}" style="background:#1f4fd8;border-radius:6px;color:#ffffff;` +
      `display:inline-block;font-weight:600;padding:12px 20px;text-decoration:none">${escapeHtml(action.label)}</a></p>` +
      `<p style="margin:0 0 16px;color:#5b6470;font-size:13px;word-break:break-all">${escapeHtml(action.url)}</p>`;
  const rows = (details ?? [])
    .map(
      ([label, value]) =>
        `<tr><td style="color:#5b6470;padding:4px 16px 4px 0;vertical-align:top">${escapeHtml(label)}</td>` +
        `<td style="padding:4px 0;word-break:break-word">${escapeHtml(value)}</td></tr>`,
    )
    .join('');
  const body = [
    ...paragraphs.map((paragraph) => text(paragraph)),
    button ?? '',
    rows === '' ? '' : `<table role="presentation" style="border-collapse:collapse;margin:0 0 16px">${rows}</table>`,
    closing === undefined ? '' : text(closing, 'color:#5b6470;font-size:13px'),
  ].join('\n');
  return (
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(subject)}</title>
</head>
<body style="background:#f4f5f7;margin:0;padding:24px">
<div style="background:#ffffff;border-radius:8px;color:#1b2027;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;` +
    `margin:0 auto;max-width:560px;overflow-wrap:anywhere;padding:32px">
<h1 style="font-size:20px;line-height:1.3;margin:0 0 16px">${escapeHtml(subject)}</h1>
${body}
</div>
</body>
</html>
`
  );
}
