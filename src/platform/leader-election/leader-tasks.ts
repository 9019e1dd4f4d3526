import { Injectable, Module } from '@nestjs/common';

/** Work that one process of all does at an interval. */
export interface LeaderTask {
  intervalMs: number;
  /** Never throws. */
  run(): Promise<void>;
}

/** The periodic work of the elected leader; features register theirs in the worker. */
@Injectable()
export class LeaderTasks {
  private readonly tasks: LeaderTask[] = [];
  private timers: NodeJS.Timeout[] = [];

  add(task: LeaderTask): void {
    this.tasks.push(task);
  }

  /** Called when this process becomes the leader. */
  start(): void {
    this.stop();
    this.timers = this.tasks.map((task) => setInterval(() => void task.run(), task.intervalMs));
  }

  /** Called when this process is no longer the leader. */
  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
  }
}

/** Provides the leader's tasks. */
@Module({ providers: [LeaderTasks], exports: [LeaderTasks] })
export class LeaderTasksModule {}
