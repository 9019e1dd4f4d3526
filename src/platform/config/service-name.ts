/** The name of the product, and the one file of the platform that has it. */
export const PRODUCT_NAME = 'orders-saas';

/** The name of the service in other systems: sessions of the database, access tokens, traces. */
export const SERVICE_NAME = `${PRODUCT_NAME}-api`;
