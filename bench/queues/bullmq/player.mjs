// BullMQ behind the line protocol of bench/queues/player.py: node player.mjs
import { createInterface } from "node:readline";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const TASKS = 50, BATCH = 500, HANG = -1;
const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const queue = new Queue("bench", { connection: connect() });
const options = { removeOnComplete: true };
let ran = () => {};

const put = (number, delay) => queue.add("job", { number }, delay === undefined ? options : { ...options, delay });
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const now = () => performance.now() / 1000;

async function job({ data: { number } }) {
  ran(number);
  if (number === HANG) await sleep(3600_000);
}

async function working(body) {
  const worker = new Worker("bench", job, { connection: connect(), concurrency: TASKS });
  await body();
  await worker.close();
}

function countdown(jobs) {
  return new Promise((done) => {
    ran = () => { if (--jobs === 0) done(); };
  });
}

async function timed(body) {
  const begun = now(), cpu = process.cpuUsage();
  await body();
  const used = process.cpuUsage(cpu);
  return { seconds: now() - begun, cpu: (used.user + used.system) / 1e6 };
}

async function runOne(first) {
  const done = countdown(1);
  new Worker("bench", job, { connection: connect(), concurrency: TASKS });
  if (first) await put(HANG);
  await done;
  return {};
}

const verbs = {
  enqueue: (jobs) => timed(async () => {
    let next = 0;
    const putting = async () => { while (next < jobs) await put(next++); };
    await Promise.all(Array.from({ length: TASKS }, putting));
  }),
  enqueue_many: (jobs) => timed(async () => {
    for (let first = 0; first < jobs; first += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, jobs - first) }, (_, index) => first + index);
      await queue.addBulk(numbers.map((number) => ({ name: "job", data: { number }, opts: options })));
    }
  }),
  async drain(jobs) {
    const done = countdown(jobs);
    let answer;
    const measured = timed(() => done);
    await working(async () => { answer = await measured; });
    return answer;
  },
  async pick_up(jobs) {
    const took = [];
    await working(async () => {
      await sleep(500);
      for (let number = 0; number < jobs; number++) {
        await sleep(50);
        const done = countdown(1), begun = now();
        await put(number);
        await done;
        took.push(now() - begun);
      }
    });
    return { seconds: took.sort((a, b) => a - b)[took.length >> 1] };
  },
  async delayed(jobs) {
    const due = new Map(), late = [];
    await working(async () => {
      await sleep(200);
      await new Promise(async (done) => {
        ran = (number) => { if (late.push(now() - due.get(number)) === jobs) done(); };
        for (let number = 0; number < jobs; number++) {
          const delay = Math.round(500 + Math.random() * 2000);
          due.set(number, now() + delay / 1000);
          await put(number, delay);
        }
      });
    });
    late.sort((a, b) => a - b);
    return {
      p50: late[late.length >> 1], p99: late[Math.floor(late.length * 0.99)], early: Math.max(0, -late[0]),
    };
  },
  hang: () => runOne(true),
  resume: () => runOne(false),
};

await queue.waitUntilReady();
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await verbs[request.do](request.jobs)));
}
process.exit(0);
