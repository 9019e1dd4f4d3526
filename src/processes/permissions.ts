/**
 * Every feature's permissions, for the processes that need all of them. The API decides by them which events a caller
 * may see, and the worker by the same ones which events `*` does not cover.
 */
import '../api-keys/api-keys.permissions';
import '../audit/audit.permissions';
import '../orders/orders.permissions';
import '../tenants/tenants.permissions';
import '../webhooks/webhooks.permissions';
