/** Where the API begins: below it every route is one of the contract. */
export const API_PREFIX = '/api/v1';
