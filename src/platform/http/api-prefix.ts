/** The path of the API: every route of the contract is below it. */
export const API_PREFIX = '/api/v1';
