import { deprecationHeaders, type DeprecationNotice } from '../responses/deprecation';
import type { Header } from './declarations';

/** The headers of a deprecated route for the document; no shared component, since deprecated routes are rare. */
export function describeDeprecation(notice: DeprecationNotice): Record<string, Header> {
  const { deprecation, sunset, link } = deprecationHeaders(notice);
  return {
    Deprecation: {
      description: 'Since when the route is deprecated, in Unix seconds after an `@` (RFC 9745).',
      required: true,
      schema: { type: 'string', pattern: '^@\\d+$', maxLength: 20 },
      example: deprecation,
    },
    Sunset: {
      description: 'When the route ends; from then on it returns 404 (RFC 8594).',
      required: true,
      schema: { type: 'string', maxLength: 29 },
      example: sunset,
    },
    Link: {
      description: 'The replacement (`rel="deprecation"`, RFC 9745); for a list also the next page (`rel="next"`).',
      required: true,
      schema: { type: 'string', maxLength: 4096 },
      example: link,
    },
  };
}
