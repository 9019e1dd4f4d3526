import { isIP } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Config } from '../../platform/config/config';
import type { Row } from '../../platform/database/sql/statement';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { AppError } from '../../platform/errors';
import { parseCidr } from '../../platform/net/cidrs';
import { TenantUsage } from '../../platform/usage/tenant-usage';
import { isOpened, type SsrfPolicy } from '../http-client/ssrf-policy';
import { listEndpointUrls, lockEndpointCount } from './endpoints.queries';

/** An endpoint and its URL. */
export interface EndpointUrl extends Row {
  id: string;
  url: string;
}

/** How many endpoints a tenant may have: in all, and at one host, which gets each event as often. */
@Injectable()
export class EndpointQuota {
  private readonly max: number;
  private readonly maxPerHost: number;
  private readonly policy: SsrfPolicy;

  constructor(
    config: Config,
    private readonly usage: TenantUsage,
  ) {
    this.max = config.WEBHOOK_MAX_ENDPOINTS;
    this.maxPerHost = config.WEBHOOK_MAX_ENDPOINTS_PER_HOST;
    this.policy = { allowHttp: config.WEBHOOK_ALLOW_HTTP, allowCidrs: config.WEBHOOK_ALLOW_CIDRS.map(parseCidr) };
  }

  /**
   * Asserts room for an endpoint at a URL: a new one, or one that moves there. Changes that are counted wait for each
   * other until their transactions end. @throws AppError `business_rule_violation`
   */
  async assertRoom(tx: TenantTransaction, id: string, url: string, isNew: boolean): Promise<void> {
    const { tenantId } = tx;
    const [, endpoints] = await Promise.all([
      tx.query(lockEndpointCount(tenantId)),
      tx.query<EndpointUrl>(listEndpointUrls(tenantId)),
    ]);
    const most = this.usage.limitOf(tenantId, this.max);
    if (isNew && endpoints.length >= most) {
      throw new AppError('business_rule_violation', `A tenant has at most ${most} endpoints.`);
    }
    const host = hostOf(url);
    if (isIP(host) !== 0 && isOpened(host, this.policy)) return;
    const maxPerHost = this.usage.limitOf(tenantId, this.maxPerHost);
    const there = endpoints.filter((one) => one.id !== id && hostOf(one.url) === host).length;
    if (there >= maxPerHost) {
      const text = `A tenant has at most ${maxPerHost} endpoints at one host; ${host} has ${there}.`;
      throw new AppError('business_rule_violation', text);
    }
  }
}

/** The number of endpoints at the host that has most of them. */
export function countOfBusiestHost(endpoints: readonly EndpointUrl[]): number {
  const counts = new Map<string, number>();
  for (const { url } of endpoints) counts.set(hostOf(url), (counts.get(hostOf(url)) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

/** The host in one canonical form of all its spellings, without the port. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$|\.$/g, '');
}
