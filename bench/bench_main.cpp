// difftune_bench [--checkpoint FILE] [--size_px N] [--runs N] [--dtype float32|bfloat16] [name...]: runs the named
// benchmarks, or all.
#include "bench/bench.h"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>

#include "base/error.h"
#include "nn/pooled_allocator.h"

namespace difftune::bench {

namespace {

double processor_time_s() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Seconds fastest_run(const std::function<void()>& work, int num_runs) {
  work();
  Seconds fastest{1e30, 1e30};
  for (int i = 0; i < num_runs; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    const double processor_begun = processor_time_s();
    work();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begun;
    fastest.elapsed = std::min(fastest.elapsed, elapsed.count());
    fastest.processor = std::min(fastest.processor, processor_time_s() - processor_begun);
  }
  return fastest;
}

double matrix_peak_gflops(c10::ScalarType dtype) {
  static std::map<c10::ScalarType, double> peaks;
  if (const auto found = peaks.find(dtype); found != peaks.end()) return found->second;
  const at::Tensor a = at::randn({2048, 2048}).to(dtype), b = at::randn({2048, 2048}).to(dtype);
  const double seconds = fastest_run([&] { at::mm(a, b); }, 5).elapsed;
  return peaks[dtype] = 2 * 2048.0 * 2048 * 2048 / seconds * 1e-9;
}

void print_result(std::string_view name, Seconds seconds, double gflop, c10::ScalarType dtype) {
  fmt::print("{:<44} {:9.2f} ms, {:9.2f} ms of processors", name, seconds.elapsed * 1e3, seconds.processor * 1e3);
  if (gflop > 0) {
    const double rate = gflop / seconds.elapsed;
    fmt::print("  {:6.0f} GFLOP/s  {:3.0f} % of the matrix peak", rate, 100 * rate / matrix_peak_gflops(dtype));
  }
  fmt::print("\n");
  std::fflush(stdout);
}

int64_t resident_bytes(std::string_view field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field)) return std::atoll(line.c_str() + field.size() + 1) * 1024;
  }
  return 0;
}

void forget_highest_resident() { std::ofstream("/proc/self/clear_refs") << 5; }

const std::vector<Benchmark>& benchmarks() {
  static const std::vector<Benchmark> rows = {{"convolutions", run_convolutions},
                                              {"unet_step", run_unet_step},
                                              {"vae_encode", run_vae_encode},
                                              {"weight_tools", run_weight_tools}};
  return rows;
}

namespace {

int run(int argc, char** argv) {
  Settings settings;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) throw UsageError(argument + ": a value is missing");
      return std::string(argv[++i]);
    };
    if (argument == "--checkpoint") {
      settings.checkpoint = value();
    } else if (argument == "--size_px") {
      settings.size_px = std::atoll(value().c_str());
    } else if (argument == "--runs") {
      settings.num_runs = std::atoi(value().c_str());
    } else if (argument == "--dtype") {
      const std::string name = value();
      if (name != "float32" && name != "bfloat16") throw UsageError("--dtype " + name + ": float32 or bfloat16");
      settings.dtypes = {name == "float32" ? c10::kFloat : c10::kBFloat16};
    } else {
      names.push_back(argument);
    }
  }
  for (const auto& name : names) {
    const auto& rows = benchmarks();
    if (std::none_of(rows.begin(), rows.end(), [&](const Benchmark& row) { return row.name == name; })) {
      throw UsageError("there is no benchmark " + name);
    }
  }
  fmt::print("{} threads; product of 2048x2048 matrices: float32 {:.0f}, bfloat16 {:.0f} GFLOP/s\n",
             at::get_num_threads(), matrix_peak_gflops(at::kFloat), matrix_peak_gflops(at::kBFloat16));
  for (const auto& row : benchmarks()) {
    if (names.empty() || std::find(names.begin(), names.end(), row.name) != names.end()) row.run(settings);
  }
  return 0;
}

}  // namespace
}  // namespace difftune::bench

int main(int argc, char** argv) {
  try {
    difftune::nn::use_pooled_memory();
    return difftune::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "difftune_bench: {}\n", error.what());
    return 1;
  }
}
