// Drives an emulator with the published Java package; the stories are ours.
//
//   java -cp CLASSES:JARS Stories all ADDRESS [HUB]      a worker and a client, every story
//   java -cp CLASSES:JARS Stories worker ADDRESS [HUB]   a worker until standard input ends; prints "ready" first
//   java -cp CLASSES:JARS Stories client ADDRESS [HUB]   a client that starts what a worker in Rust runs
//
// ADDRESS is host:port; the package names no hub, so that it is the hub "default" unless HUB is given. Prints a line
// for each story that held; what does not hold is an exception and ends with code 1.

import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorker;
import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskOptions;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationContext;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

public class Stories {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    /** How often `flaky` has been called, by its input. */
    static final Map<String, Integer> calls = new ConcurrentHashMap<>();

    static int[] squares(TaskOrchestrationContext ctx, String activity, int... numbers) {
        List<Task<Integer>> tasks = new ArrayList<>();
        for (int number : numbers) {
            tasks.add(ctx.callActivity(activity, number, Integer.class));
        }
        return ctx.allOf(tasks).await().stream().mapToInt(Integer::intValue).toArray();
    }

    /** The sample, as `src/orchestration.rs` tells it. */
    static void fanOutFanIn(TaskOrchestrationContext ctx) {
        int[] items = ctx.callActivity("list_work_items", ctx.getInput(int[].class), int[].class).await();
        int[] results = squares(ctx, "process", items);
        ctx.complete(ctx.callActivity("aggregate", results, Map.class).await());
    }

    static Object aggregate(int[] results) {
        int sum = Arrays.stream(results).sum();
        return Map.of("results", results, "sum", sum, "average", (double) sum / results.length);
    }

    static void timed(TaskOrchestrationContext ctx) {
        long began = ctx.getCurrentInstant().toEpochMilli();
        ctx.createTimer(Duration.ofMillis(300)).await();
        ctx.complete(ctx.getCurrentInstant().toEpochMilli() - began);
    }

    static void approval(TaskOrchestrationContext ctx) {
        ctx.complete(ctx.waitForExternalEvent("approval", Duration.ofSeconds(30), String.class).await());
    }

    static void parent(TaskOrchestrationContext ctx) {
        ctx.setCustomStatus("asking");
        Map<?, ?> summary = ctx.callSubOrchestrator("fan_out_fan_in", new int[] {1, 2}, Map.class).await();
        ctx.complete(summary.get("sum"));
    }

    static void patient(TaskOrchestrationContext ctx) {
        TaskOptions options = new TaskOptions(new RetryPolicy(3, Duration.ofMillis(50)));
        ctx.complete(ctx.callActivity("flaky", ctx.getInstanceId(), options, String.class).await());
    }

    static Object flaky(String key) {
        int call = calls.merge(key, 1, Integer::sum);
        if (call < 3) {
            throw new IllegalStateException("not yet, call " + call);
        }
        return "at last";
    }

    static void endless(TaskOrchestrationContext ctx) {
        ctx.waitForExternalEvent("never").await();
    }

    static void generations(TaskOrchestrationContext ctx) {
        int count = ctx.getInput(int.class);
        ctx.createTimer(Duration.ofMillis(1)).await();
        if (count == 20) {
            ctx.complete(count);
        } else {
            ctx.continueAsNew(count + 1);
        }
    }

    /** What benches/soak.rs starts in every language. */
    static void soakOrder(TaskOrchestrationContext ctx) {
        int number = ctx.getInput(int.class);
        int sum = Arrays.stream(squares(ctx, "soak_square", number, number + 1, number + 2)).sum();
        ctx.createTimer(Duration.ofMillis(20)).await();
        sum += ctx.callSubOrchestrator("soak_child", number, Integer.class).await();
        ctx.complete(sum + ctx.waitForExternalEvent("go", Integer.class).await());
    }

    static void soakChild(TaskOrchestrationContext ctx) {
        ctx.complete(ctx.callActivity("soak_square", ctx.getInput(int.class), Integer.class).await());
    }

    static int square(int number) {
        return number * number;
    }

    static TaskOrchestrationFactory orchestration(String name, TaskOrchestration body) {
        return new TaskOrchestrationFactory() {
            @Override
            public String getName() {
                return name;
            }

            @Override
            public TaskOrchestration create() {
                return body;
            }
        };
    }

    static TaskActivityFactory activity(String name, TaskActivity body) {
        return new TaskActivityFactory() {
            @Override
            public String getName() {
                return name;
            }

            @Override
            public TaskActivity create() {
                return body;
            }
        };
    }

    static DurableTaskGrpcWorker workerAt(Channel channel) {
        return new DurableTaskGrpcWorkerBuilder()
            .grpcChannel(channel)
            .addOrchestration(orchestration("fan_out_fan_in", Stories::fanOutFanIn))
            .addOrchestration(orchestration("timed", Stories::timed))
            .addOrchestration(orchestration("approval", Stories::approval))
            .addOrchestration(orchestration("parent", Stories::parent))
            .addOrchestration(orchestration("patient", Stories::patient))
            .addOrchestration(orchestration("endless", Stories::endless))
            .addOrchestration(orchestration("generations", Stories::generations))
            .addOrchestration(orchestration("soak_order", Stories::soakOrder))
            .addOrchestration(orchestration("soak_child", Stories::soakChild))
            .addActivity(activity("list_work_items", ctx -> ctx.getInput(int[].class)))
            .addActivity(activity("process", ctx -> square(ctx.getInput(int.class))))
            .addActivity(activity("aggregate", ctx -> aggregate(ctx.getInput(int[].class))))
            .addActivity(activity("flaky", ctx -> flaky(ctx.getInput(String.class))))
            .addActivity(activity("soak_square", ctx -> square(ctx.getInput(int.class))))
            .build();
    }

    static void told(String text) {
        System.out.println("ok " + text);
    }

    static void expect(Object got, Object wanted) {
        if (!wanted.equals(got)) {
            throw new AssertionError("got " + got + ", wanted " + wanted);
        }
    }

    static OrchestrationMetadata endOf(DurableTaskClient hub, String id, OrchestrationRuntimeStatus status)
            throws TimeoutException {
        OrchestrationMetadata state = hub.waitForInstanceCompletion(id, PATIENCE, true);
        expect(state.getRuntimeStatus(), status);
        return state;
    }

    static <T> T outputOf(DurableTaskClient hub, String name, Object input, Class<T> type) throws TimeoutException {
        String id = hub.scheduleNewOrchestrationInstance(name, input);
        return endOf(hub, id, OrchestrationRuntimeStatus.COMPLETED).readOutputAs(type);
    }

    static void sample(DurableTaskClient hub) throws TimeoutException {
        Map<?, ?> summary = outputOf(hub, "fan_out_fan_in", new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Map.class);
        expect(summary.get("sum"), 385);
        expect(summary.get("average"), 38.5);
    }

    static void everyStory(DurableTaskClient hub) throws TimeoutException {
        sample(hub);
        told("the sample");

        if (outputOf(hub, "timed", null, Long.class) < 300) {
            throw new AssertionError("the timer fired too early");
        }
        told("timer");

        String id = hub.scheduleNewOrchestrationInstance("approval");
        hub.waitForInstanceStart(id, PATIENCE);
        hub.raiseEvent(id, "approval", "yes");
        expect(endOf(hub, id, OrchestrationRuntimeStatus.COMPLETED).readOutputAs(String.class), "yes");
        told("event");

        id = hub.scheduleNewOrchestrationInstance("parent");
        OrchestrationMetadata state = endOf(hub, id, OrchestrationRuntimeStatus.COMPLETED);
        expect(state.readOutputAs(Integer.class), 5);
        expect(state.readCustomStatusAs(String.class), "asking");
        told("child");

        expect(outputOf(hub, "patient", null, String.class), "at last");
        told("retry");

        id = hub.scheduleNewOrchestrationInstance("endless");
        hub.waitForInstanceStart(id, PATIENCE);
        hub.suspendInstance(id);
        hub.resumeInstance(id);
        hub.terminate(id, "enough");
        expect(endOf(hub, id, OrchestrationRuntimeStatus.TERMINATED).readOutputAs(String.class), "enough");
        told("terminate");

        expect(outputOf(hub, "generations", 1, Integer.class), 20);
        told("continue-as-new");

        expect(hub.purgeInstance(id).getDeletedInstanceCount(), 1);
        expect(hub.getInstanceMetadata(id, false).isInstanceFound(), false);
        told("purge");
    }

    public static void main(String[] arguments) throws IOException, InterruptedException, TimeoutException {
        ManagedChannel connection = ManagedChannelBuilder.forTarget(arguments[1]).usePlaintext().build();
        Metadata headers = new Metadata();
        if (arguments.length > 2) {
            headers.put(Metadata.Key.of("taskhub", Metadata.ASCII_STRING_MARSHALLER), arguments[2]);
        }
        Channel channel = ClientInterceptors.intercept(connection, MetadataUtils.newAttachHeadersInterceptor(headers));
        DurableTaskClient hub = new DurableTaskGrpcClientBuilder().grpcChannel(channel).build();
        if (arguments[0].equals("client")) {
            sample(hub);
            told("a client in Java and a worker in Rust");
        } else {
            try (DurableTaskGrpcWorker worker = workerAt(channel)) {
                worker.start();
                if (arguments[0].equals("worker")) {
                    System.out.println("ready");
                    System.in.transferTo(java.io.OutputStream.nullOutputStream());
                } else {
                    everyStory(hub);
                }
            }
        }
        connection.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        // The package's threads would keep the process.
        System.exit(0);
    }
}
