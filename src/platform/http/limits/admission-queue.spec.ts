import type { IncomingMessage, ServerResponse } from 'node:http';
import { arrivalOf, AdmissionQueue } from './admission-queue';

describe('the admission queue', () => {
  const response = {} as ServerResponse;
  const request = (url: string, left = false) =>
    ({ url, socket: { destroyed: left, destroy: () => undefined } }) as unknown as IncomingMessage;
  const urls = (queue: AdmissionQueue): (string | undefined)[] => {
    const all = [];
    for (let held = queue.dequeue(); held; held = queue.dequeue()) all.push(held.request.url);
    return all;
  };

  it('lets in as they came, and knows when that was', () => {
    const queue = new AdmissionQueue(8);
    const requests = ['a', 'b', 'c'].map((url) => request(url));
    requests.forEach((one, at) => expect(queue.enqueue('t', one, response, 100 + at)).toBe(true));
    expect(queue.size).toBe(3);
    expect(urls(queue)).toEqual(['a', 'b', 'c']);
    expect(queue.size).toBe(0);
    expect(requests.map(arrivalOf)).toEqual([100, 101, 102]);
  });

  it('lets tenants take turns', () => {
    const queue = new AdmissionQueue(16);
    for (const url of ['a1', 'a2', 'a3', 'a4']) queue.enqueue('a', request(url), response, 1);
    for (const url of ['b1', 'b2']) queue.enqueue('b', request(url), response, 2);
    expect(urls(queue)).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'a4']);
  });

  it('gives a tenant half of the places, and as many again once they are left', () => {
    const queue = new AdmissionQueue(4);
    for (let turn = 0; turn < 5; turn++) {
      const entered = ['a', 'b', 'c'].map((url) => queue.enqueue('t', request(`${url}${turn}`), response, turn));
      expect(entered).toEqual([true, true, false]);
      expect(urls(queue)).toEqual([`a${turn}`, `b${turn}`]);
    }
  });

  it('has capacity for the next tenant, also when it is full', () => {
    const queue = new AdmissionQueue(8_192);
    for (const tenant of ['a', 'b', 'c', 'd', 'e', 'f']) {
      for (let i = 0; i < 9_000; i++) queue.enqueue(tenant, request(''), response, 1);
    }
    expect(queue.enqueue('late', request('late'), response, 2)).toBe(true);
    expect(queue.size).toBeLessThanOrEqual(8_192);
  });

  it('gives those that came before a time, of every tenant', () => {
    const queue = new AdmissionQueue(16);
    for (const at of [1, 2, 3]) queue.enqueue('a', request(`a${at}`), response, at);
    for (const at of [2, 4]) queue.enqueue('b', request(`b${at}`), response, at);
    expect(queue.dequeueBefore(3).map((held) => held.request.url)).toEqual(['a1', 'a2', 'b2']);
    expect(queue.size).toBe(2);
    expect(urls(queue)).toEqual(['a3', 'b4']);
  });

  it('passes over clients that have left', () => {
    const queue = new AdmissionQueue(8);
    queue.enqueue('a', request('left', true), response, 1);
    queue.enqueue('b', request('left', true), response, 1);
    queue.enqueue('a', request('there'), response, 2);
    expect(urls(queue)).toEqual(['there']);
    expect(queue.dequeue()).toBeUndefined();
    expect(queue.size).toBe(0);
    queue.enqueue('a', request('left', true), response, 1);
    expect(queue.dequeueBefore(5)).toEqual([]);
    expect(queue.size).toBe(0);
  });
});
