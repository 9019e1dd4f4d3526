// Loaded with `node -r` into a worker under test: kills the process at one step of a delivery, the second time it
// reaches it (or the time that CRASH_PASS names), so that some deliveries are complete and others are not.
const { join } = require('node:path');

const webhooks = join(__dirname, '..', '..', 'dist', 'src', 'webhooks');
const fatal = Number(process.env.CRASH_PASS ?? 2);
let passes = 0;

function crash() {
  if (++passes >= fatal) process.kill(process.pid, 'SIGKILL');
}

function patch(file, name, method, step) {
  const { prototype } = require(join(webhooks, file))[name];
  const original = prototype[method];
  prototype[method] = step(original);
}

/** Blocks like a paused virtual machine until the test releases it. */
const still = (original) =>
  function (...args) {
    process.kill(process.pid, 'SIGSTOP');
    return original.apply(this, args);
  };

const before = (original) =>
  function (...args) {
    crash();
    return original.apply(this, args);
  };
const after = (original) =>
  async function (...args) {
    const result = await original.apply(this, args);
    crash();
    return result;
  };

// The claim and the rows are one transaction: this is while it is on its way.
const during = (original) =>
  function (...args) {
    setTimeout(crash, 1);
    return original.apply(this, args);
  };

/**
 * Renews no locks of its jobs, like a worker that waits for the database or for the processor for too long. It takes no
 * other job: the queue returns the lost one, and this worker could take it again each time.
 * @param beforeLoad is awaited before the deliveries of the job are read
 */
function loseJob(beforeLoad) {
  const bullmq = join(__dirname, '..', '..', 'node_modules', 'bullmq', 'dist', 'cjs', 'classes');
  require(join(bullmq, 'lock-manager.js')).LockManager.prototype.extendLocks = async () => undefined;
  const worker = require(join(bullmq, 'worker.js')).Worker.prototype;
  const { moveToActive } = worker;
  let hasTaken = false;
  worker.moveToActive = function (...args) {
    return hasTaken ? new Promise(() => undefined) : moveToActive.apply(this, args);
  };
  patch(
    'sending/delivery-loader.js',
    'DeliveryLoader',
    'load',
    (original) =>
      async function (...args) {
        hasTaken = true;
        process.stdout.write('has taken a job\n');
        await beforeLoad;
        return original.apply(this, args);
      },
  );
  patch(
    'sending/delivery-sender.js',
    'DeliverySender',
    'deliver',
    (original) =>
      async function (...args) {
        await original.apply(this, args);
        process.stdout.write('has ended a job\n');
      },
  );
}

const STEPS = {
  'losing its first job': () => loseJob(new Promise((resolve) => process.once('SIGUSR2', resolve))),
  'losing its job after the request': () => loseJob(),
  'during the claim': () => patch('dispatch/fan-out/fan-out.js', 'FanOut', 'open', during),
  'after the row': () => patch('dispatch/dispatcher.js', 'Dispatcher', 'offer', before),
  'after the job': () => patch('dispatch/delivery-queue.js', 'DeliveryQueue', 'add', after),
  'after the job was taken': () => patch('sending/delivery-loader.js', 'DeliveryLoader', 'load', after),
  'before the request': () => patch('sending/delivery-sender.js', 'DeliverySender', 'send', before),
  'standing still before the request': () => patch('sending/delivery-sender.js', 'DeliverySender', 'send', still),
  'after the response': () => patch('sending/outcomes.js', 'Outcomes', 'record', before),
  'after some responses': () => patch('sending/delivery-sender.js', 'DeliverySender', 'send', after),
  'after the attempt was written': () => patch('sending/outcomes.js', 'Outcomes', 'record', after),
};

STEPS[process.env.CRASH_AT]();
