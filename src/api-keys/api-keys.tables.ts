import type { Placements } from '../platform/database/sql/tables';

export const API_KEYS_PLACEMENTS: Placements = { api_keys: 'distributed', api_key_secrets: 'distributed' };
