import type { IncomingMessage, ServerResponse } from 'node:http';
import { arrivalOf, AdmissionQueue } from './admission-queue';

describe('the waiting room', () => {
  const response = {} as ServerResponse;
  const request = (url: string, left = false) =>
    ({ url, socket: { destroyed: left, destroy: () => undefined } }) as unknown as IncomingMessage;
  const urls = (room: AdmissionQueue, before?: number): (string | undefined)[] => {
    const all = [];
    for (let held = room.leave(before); held; held = room.leave(before)) all.push(held.request.url);
    return all;
  };

  it('lets in as they came, and knows when that was', () => {
    const room = new AdmissionQueue(3);
    const requests = ['a', 'b', 'c'].map((url) => request(url));
    requests.forEach((one, at) => expect(room.enter(one, response, 100 + at)).toBe(true));
    expect(room.size).toBe(3);
    expect(urls(room)).toEqual(['a', 'b', 'c']);
    expect(room.size).toBe(0);
    expect(requests.map(arrivalOf)).toEqual([100, 101, 102]);
  });

  it('takes no more than it has places, and as many again once they have left', () => {
    const room = new AdmissionQueue(2);
    for (let turn = 0; turn < 5; turn++) {
      const entered = ['a', 'b', 'c'].map((url) => room.enter(request(`${url}${turn}`), response, turn));
      expect(entered).toEqual([true, true, false]);
      expect(urls(room)).toEqual([`a${turn}`, `b${turn}`]);
    }
  });

  it('gives those who came before a time', () => {
    const room = new AdmissionQueue(3);
    for (const at of [1, 2, 3]) room.enter(request(String(at)), response, at);
    expect(urls(room, 3)).toEqual(['1', '2']);
    expect(room.size).toBe(1);
  });

  it('passes over who has left', () => {
    const room = new AdmissionQueue(3);
    room.enter(request('left', true), response, 1);
    room.enter(request('there'), response, 2);
    expect(urls(room)).toEqual(['there']);
    expect(room.leave()).toBeUndefined();
  });
});
