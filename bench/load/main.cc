#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>

#include "bench/load/client.h"
#include "bench/load/interception.h"
#include "bench/load/pattern.h"
#include "bench/load/server.h"
#include "bench/load/sweep.h"
#include "lib/daemon/option_values.h"

namespace heddle::bench {
namespace {

constexpr const char* kPurpose =
    "Heddle's load generator: a server, a plaintext relay, and clients that print what they "
    "measured as JSON. All bytes "
    "are checked at both ends; a run with an error says so and exits with 1.";

const std::map<std::string, io::BackendChoice> kBackends = {
    {"auto", io::BackendChoice::kAuto},
    {"epoll", io::BackendChoice::kEpoll},
    {"io_uring", io::BackendChoice::kIoUring}};

// Everything that the options bind to.
struct Settings {
  RelayOptions relay;
  ClientOptions client;
  InterceptionOptions interception;
  SweepOptions sweep;
  double warm_up_seconds = 1, seconds = 5, pause_us = 200;
  std::function<int()> run;
};

const CLI::Validator kAddress(
    [](std::string& text) {
      return io::SocketAddress::Parse(text) ? std::string() : "not an address and a port: " + text;
    },
    "IP:PORT", "address");

void AddAddress(CLI::App& app, const char* name, io::SocketAddress& out, const char* help) {
  app.add_option_function<std::string>(
         name, [&out](const std::string& text) { out = *io::SocketAddress::Parse(text); }, help)
      ->required()
      ->check(kAddress);
}

void AddServing(CLI::App& app, ServerOptions& server) {
  AddAddress(app, "--listen", server.listen, "Where to listen");
  app.add_option("--in", server.namespaces,
                 "Files of the network namespaces to listen in, one socket in each; default here")
      ->type_name("NETNS");
  app.add_option("--workers", server.workers, "Threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--backend", server.backend, "Event loop")->transform(daemon::OneOf(kBackends));
}

void AddClient(CLI::App& app, Settings& settings, Workload workload) {
  ClientOptions& client = settings.client;
  AddAddress(app, "--to", client.server, "Where the server, or what stands before it, listens");
  app.add_option("--flows", client.flows, "Connections at a time")->check(CLI::Range(1, 100'000));
  app.add_option("--workers", client.workers, "Threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--warm-up", settings.warm_up_seconds, "Seconds that do not count")
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Seconds that count")->capture_default_str();
  app.add_option_function<std::vector<std::string>>(
         "--usage",
         [&client](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             auto source = UsageSource::Parse(text);
             if (!source.ok())
               throw CLI::ValidationError("--usage", std::string(source.status().message()));
             client.usage.push_back(*std::move(source));
           }
         },
         "CPU time to report: NAME=DIRECTORY of a cgroup2 group, sampled when the counting begins "
         "and ends")
      ->type_name("NAME=DIR");
  app.add_option("--samples", client.samples_file,
                 "File for all latencies: native int64, nanoseconds");
  app.add_option("--backend", client.backend, "Event loop")->transform(daemon::OneOf(kBackends));
  app.callback([&settings, workload] {
    settings.client.workload = workload;
    settings.client.warm_up = absl::Seconds(settings.warm_up_seconds);
    settings.client.duration = absl::Seconds(settings.seconds);
    settings.run = [&settings] { return RunClient(settings.client); };
  });
}

void AddServers(CLI::App& app, Settings& settings) {
  CLI::App* serve =
      app.add_subcommand("serve", "Answer clients (and HTTP/1.1 with 1 KiB) until SIGTERM");
  AddServing(*serve, settings.relay.server);
  serve->callback(
      [&settings] { settings.run = [&settings] { return RunServer(settings.relay.server); }; });

  CLI::App* relay =
      app.add_subcommand("relay", "Carry connections on to another address, in clear");
  AddServing(*relay, settings.relay.server);
  AddAddress(*relay, "--to", settings.relay.to, "Where to");
  relay->callback([&settings] { settings.run = [&settings] { return RunRelay(settings.relay); }; });
}

void AddClients(CLI::App& app, Settings& settings) {
  ClientOptions& client = settings.client;
  CLI::App* up = app.add_subcommand("up", "Send as much as goes, on each flow");
  AddClient(*up, settings, Workload::kUp);
  up->add_option("--write", client.write_bytes, "Bytes of a write")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, Pattern::kPieceMax));
  AddClient(*app.add_subcommand("down", "Receive as much as comes, on each flow"), settings,
            Workload::kDown);

  CLI::App* exchange =
      app.add_subcommand("exchange",
                         "Requests and answers: one after the other on each flow, or at a fixed "
                         "rate, then with latencies "
                         "counted from when a request was due (no coordinated omission)");
  AddClient(*exchange, settings, Workload::kExchange);
  exchange->add_option("--request", client.request_bytes, "Bytes of a request")
      ->check(CLI::Range(1, 1 << 30));
  exchange->add_option("--response", client.response_bytes, "Bytes of an answer")
      ->check(CLI::Range(1, 1 << 30));
  exchange
      ->add_option("--rate", client.rate,
                   "Requests per second of all flows together; 0: closed loop")
      ->check(CLI::Range(0.0, 1e7));

  AddClient(*app.add_subcommand("connects",
                                "Connect, a byte each way, end; again and again on each flow"),
            settings, Workload::kConnects);

  CLI::App* hold = app.add_subcommand(
      "hold", "Open connections, one exchange on each, and keep them until SIGTERM");
  AddAddress(*hold, "--to", client.server, "Where the server, or what stands before it, listens");
  hold->add_option("--connections", client.connections, "How many")
      ->required()
      ->check(CLI::Range(0, 1'000'000));
  hold->add_option("--response", client.response_bytes, "Bytes of the answer on each")
      ->check(CLI::Range(1, 1 << 30));
  hold->callback([&settings] { settings.run = [&settings] { return RunHold(settings.client); }; });
}

void AddInterception(CLI::App& app, Settings& settings) {
  InterceptionOptions& options = settings.interception;
  CLI::App* connect =
      app.add_subcommand("connect-cost", "What connect(2) takes on a blocking socket");
  AddAddress(*connect, "--to", options.to, "Where to");
  connect->add_option("--count", options.count, "Connects")->capture_default_str();
  connect->add_option("--pause", settings.pause_us, "Microseconds between two")
      ->capture_default_str();
  connect->callback([&settings] {
    settings.interception.pause = absl::Microseconds(settings.pause_us);
    settings.run = [&settings] { return RunInterception(settings.interception); };
  });
}

void AddSweep(CLI::App& app, Settings& settings) {
  SweepOptions& options = settings.sweep;
  CLI::App* sweep =
      app.add_subcommand("sweep",
                         "Each client connects once to each of several servers, one after the other");
  sweep
      ->add_option_function<std::vector<std::string>>(
          "--to",
          [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts)
              options.servers.push_back(*io::SocketAddress::Parse(text));
          },
          "The servers")
      ->required()
      ->check(kAddress);
  sweep
      ->add_option("--from", options.clients,
                   "The clients: files of the network namespaces that they connect from; default one, "
                   "from here")
      ->type_name("NETNS");
  sweep->add_option("--workers", options.workers, "Threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  sweep->add_option("--start-at", options.start_ns, "When: nanoseconds of the monotonic clock");
  sweep->add_option("--warm-up", options.warm_up, "So many servers before that, not counted");
  sweep->add_flag("--retry", options.retry, "Try again until a server answers, for at most a minute");
  sweep->callback(
      [&settings] { settings.run = [&settings] { return RunSweep(settings.sweep); }; });
}

// As many descriptors as are allowed, and timers that are as exact as the kernel's: an open loop is late by them.
void PrepareProcess() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::prctl(PR_SET_TIMERSLACK, 1);
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app(kPurpose, "heddle-bench-load");
  app.require_subcommand(1);
  AddServers(app, settings);
  AddClients(app, settings);
  AddInterception(app, settings);
  AddSweep(app, settings);
  CLI11_PARSE(app, argc, argv);
  PrepareProcess();
  return settings.run();
}

}  // namespace
}  // namespace heddle::bench

int main(int argc, char** argv) { return heddle::bench::Main(argc, argv); }
