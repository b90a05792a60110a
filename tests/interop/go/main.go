// Drives an emulator with the published Go module; the stories are ours.
//
//	stories all ADDRESS [HUB]      a worker and a client, every story
//	stories worker ADDRESS [HUB]   a worker until standard input ends; prints "ready" first
//	stories client ADDRESS [HUB]   a client that starts what a worker in Rust runs
//
// ADDRESS is host:port; the module names no hub, so that it is the hub "default" unless HUB is given. Prints a line
// for each story that held; what does not hold is told to standard error and ends with code 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const patience = 60 * time.Second

// Summary is what the sample gives back.
type Summary struct {
	Results []int   `json:"results"`
	Sum     int     `json:"sum"`
	Average float64 `json:"average"`
}

func squares(ctx *task.OrchestrationContext, activity string, numbers ...int) ([]int, error) {
	var tasks []task.Task
	for _, number := range numbers {
		tasks = append(tasks, ctx.CallActivity(activity, task.WithActivityInput(number)))
	}
	results := make([]int, len(tasks))
	for place, task := range tasks {
		if err := task.Await(&results[place]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// fanOutFanIn is the sample, as src/orchestration.rs tells it.
func fanOutFanIn(ctx *task.OrchestrationContext) (any, error) {
	var asked, items []int
	if err := ctx.GetInput(&asked); err != nil {
		return nil, err
	}
	if err := ctx.CallActivity("list_work_items", task.WithActivityInput(asked)).Await(&items); err != nil {
		return nil, err
	}
	results, err := squares(ctx, "process", items...)
	if err != nil {
		return nil, err
	}
	var summary Summary
	err = ctx.CallActivity("aggregate", task.WithActivityInput(results)).Await(&summary)
	return summary, err
}

func listWorkItems(ctx task.ActivityContext) (any, error) {
	var asked []int
	err := ctx.GetInput(&asked)
	return asked, err
}

func square(ctx task.ActivityContext) (any, error) {
	var number int
	err := ctx.GetInput(&number)
	return number * number, err
}

func aggregate(ctx task.ActivityContext) (any, error) {
	var summary Summary
	if err := ctx.GetInput(&summary.Results); err != nil {
		return nil, err
	}
	for _, result := range summary.Results {
		summary.Sum += result
	}
	summary.Average = float64(summary.Sum) / float64(len(summary.Results))
	return summary, nil
}

func timed(ctx *task.OrchestrationContext) (any, error) {
	began := ctx.CurrentTimeUtc
	err := ctx.CreateTimer(300 * time.Millisecond).Await(nil)
	return ctx.CurrentTimeUtc.Sub(began).Milliseconds(), err
}

func approval(ctx *task.OrchestrationContext) (any, error) {
	var answer string
	err := ctx.WaitForSingleEvent("approval", 30*time.Second).Await(&answer)
	return answer, err
}

func parent(ctx *task.OrchestrationContext) (any, error) {
	ctx.SetCustomStatus("asking")
	var summary Summary
	err := ctx.CallSubOrchestrator("fan_out_fan_in", task.WithSubOrchestratorInput([]int{1, 2})).Await(&summary)
	return summary.Sum, err
}

func patient(ctx *task.OrchestrationContext) (any, error) {
	policy := &task.RetryPolicy{MaxAttempts: 3, InitialRetryInterval: 50 * time.Millisecond}
	var output string
	input := task.WithActivityInput(string(ctx.ID))
	err := ctx.CallActivity("flaky", input, task.WithActivityRetryPolicy(policy)).Await(&output)
	return output, err
}

// calls counts how often flaky was called, by its input.
var calls = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}

func flaky(ctx task.ActivityContext) (any, error) {
	var key string
	if err := ctx.GetInput(&key); err != nil {
		return nil, err
	}
	calls.Lock()
	defer calls.Unlock()
	calls.of[key]++
	if calls.of[key] < 3 {
		return nil, fmt.Errorf("not yet, call %d", calls.of[key])
	}
	return "at last", nil
}

func endless(ctx *task.OrchestrationContext) (any, error) {
	return nil, ctx.WaitForSingleEvent("never", -1).Await(nil)
}

func generations(ctx *task.OrchestrationContext) (any, error) {
	var count int
	if err := ctx.GetInput(&count); err != nil {
		return nil, err
	}
	if err := ctx.CreateTimer(time.Millisecond).Await(nil); err != nil {
		return nil, err
	}
	if count < 20 {
		ctx.ContinueAsNew(count + 1)
	}
	return count, nil
}

// soakOrder is what benches/soak.rs starts in every language.
func soakOrder(ctx *task.OrchestrationContext) (any, error) {
	var number, child, event int
	if err := ctx.GetInput(&number); err != nil {
		return nil, err
	}
	results, err := squares(ctx, "soak_square", number, number+1, number+2)
	if err != nil {
		return nil, err
	}
	if err := ctx.CreateTimer(20 * time.Millisecond).Await(nil); err != nil {
		return nil, err
	}
	if err := ctx.CallSubOrchestrator("soak_child", task.WithSubOrchestratorInput(number)).Await(&child); err != nil {
		return nil, err
	}
	if err := ctx.WaitForSingleEvent("go", -1).Await(&event); err != nil {
		return nil, err
	}
	return results[0] + results[1] + results[2] + child + event, nil
}

func soakChild(ctx *task.OrchestrationContext) (any, error) {
	var number int
	if err := ctx.GetInput(&number); err != nil {
		return nil, err
	}
	results, err := squares(ctx, "soak_square", number)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

func registry() (*task.TaskRegistry, error) {
	registry := task.NewTaskRegistry()
	var errs []error
	for name, body := range map[string]task.Orchestrator{
		"fan_out_fan_in": fanOutFanIn,
		"timed":          timed,
		"approval":       approval,
		"parent":         parent,
		"patient":        patient,
		"endless":        endless,
		"generations":    generations,
		"soak_order":     soakOrder,
		"soak_child":     soakChild,
	} {
		errs = append(errs, registry.AddOrchestratorN(name, body))
	}
	for name, body := range map[string]task.Activity{
		"list_work_items": listWorkItems,
		"process":         square,
		"aggregate":       aggregate,
		"flaky":           flaky,
		"soak_square":     square,
	} {
		errs = append(errs, registry.AddActivityN(name, body))
	}
	return registry, errors.Join(errs...)
}

func told(text string) { fmt.Println("ok", text) }

func expect[T comparable](got, wanted T) error {
	if got != wanted {
		return fmt.Errorf("got %v, wanted %v", got, wanted)
	}
	return nil
}

func endOf(ctx context.Context, hub *client.TaskHubGrpcClient, id api.InstanceID, status api.OrchestrationStatus) (*api.OrchestrationMetadata, error) {
	state, err := hub.WaitForOrchestrationCompletion(ctx, id, api.WithFetchPayloads(true))
	if err != nil {
		return nil, err
	}
	return state, expect(state.RuntimeStatus, status)
}

func outputOf(ctx context.Context, hub *client.TaskHubGrpcClient, name string, input any, output any) error {
	id, err := hub.ScheduleNewOrchestration(ctx, name, api.WithInput(input))
	if err != nil {
		return err
	}
	state, err := endOf(ctx, hub, id, api.RUNTIME_STATUS_COMPLETED)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(state.SerializedOutput), output)
}

func sample(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	var summary Summary
	err := outputOf(ctx, hub, "fan_out_fan_in", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, &summary)
	return errors.Join(err, expect(summary.Sum, 385), expect(summary.Average, 38.5))
}

func timer(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	var waited int
	if err := outputOf(ctx, hub, "timed", nil, &waited); err != nil {
		return err
	}
	if waited < 300 {
		return fmt.Errorf("the timer fired after %d ms", waited)
	}
	return nil
}

func event(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	id, err := hub.ScheduleNewOrchestration(ctx, "approval")
	if err != nil {
		return err
	}
	if _, err := hub.WaitForOrchestrationStart(ctx, id); err != nil {
		return err
	}
	if err := hub.RaiseEvent(ctx, id, "approval", api.WithEventPayload("yes")); err != nil {
		return err
	}
	state, err := endOf(ctx, hub, id, api.RUNTIME_STATUS_COMPLETED)
	if err != nil {
		return err
	}
	return expect(state.SerializedOutput, `"yes"`)
}

func child(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	id, err := hub.ScheduleNewOrchestration(ctx, "parent")
	if err != nil {
		return err
	}
	state, err := endOf(ctx, hub, id, api.RUNTIME_STATUS_COMPLETED)
	if err != nil {
		return err
	}
	return errors.Join(expect(state.SerializedOutput, "5"), expect(state.SerializedCustomStatus, "asking"))
}

func retry(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	var output string
	err := outputOf(ctx, hub, "patient", nil, &output)
	return errors.Join(err, expect(output, "at last"))
}

func terminateAndPurge(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	id, err := hub.ScheduleNewOrchestration(ctx, "endless")
	if err != nil {
		return err
	}
	if _, err := hub.WaitForOrchestrationStart(ctx, id); err != nil {
		return err
	}
	if err := errors.Join(hub.SuspendOrchestration(ctx, id, ""), hub.ResumeOrchestration(ctx, id, "")); err != nil {
		return err
	}
	if err := hub.TerminateOrchestration(ctx, id, api.WithOutput("enough")); err != nil {
		return err
	}
	state, err := endOf(ctx, hub, id, api.RUNTIME_STATUS_TERMINATED)
	if err != nil {
		return err
	}
	if err := expect(state.SerializedOutput, `"enough"`); err != nil {
		return err
	}
	if err := hub.PurgeOrchestrationState(ctx, id); err != nil {
		return err
	}
	if _, err := hub.FetchOrchestrationMetadata(ctx, id); !errors.Is(err, api.ErrInstanceNotFound) {
		return fmt.Errorf("a purged instance is still there: %v", err)
	}
	return nil
}

func continueAsNew(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	var count int
	err := outputOf(ctx, hub, "generations", 1, &count)
	return errors.Join(err, expect(count, 20))
}

func everyStory(ctx context.Context, hub *client.TaskHubGrpcClient) error {
	for _, story := range []struct {
		name string
		tell func(context.Context, *client.TaskHubGrpcClient) error
	}{
		{"the sample", sample},
		{"timer", timer},
		{"event", event},
		{"child", child},
		{"retry", retry},
		{"continue-as-new", continueAsNew},
		{"terminate and purge", terminateAndPurge},
	} {
		if err := story.tell(ctx, hub); err != nil {
			return fmt.Errorf("%s: %w", story.name, err)
		}
		told(story.name)
	}
	return nil
}

// inHub names the hub with every call.
func inHub(hub string) []grpc.DialOption {
	with := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "taskhub", hub)
	}
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(with(ctx), method, request, reply, conn, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(with(ctx), desc, conn, method, opts...)
		}),
	}
}

func run(arguments []string) error {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if len(arguments) > 2 {
		options = append(options, inHub(arguments[2])...)
	}
	conn, err := grpc.Dial(arguments[1], options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx := context.Background()
	hub := client.NewTaskHubGrpcClient(conn, backend.DefaultLogger())
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if arguments[0] == "client" {
		if err := sample(limited, hub); err != nil {
			return err
		}
		told("a client in Go and a worker in Rust")
		return nil
	}
	tasks, err := registry()
	if err != nil {
		return err
	}
	if err := hub.StartWorkItemListener(ctx, tasks); err != nil {
		return err
	}
	if arguments[0] == "worker" {
		fmt.Println("ready")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return everyStory(limited, hub)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
