// What the memory plan promises, measured: pages of the file and of the caches that are really
// resident, limits that are kept or refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "core/engine/engine.h"
#include "core/memory/plan.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

/// The value of a line like "RssAnon:  123 kB" of the process's status, in bytes.
size_t status_bytes(const std::string& key) {
    std::ifstream file("/proc/self/status");
    std::string word;
    while (file >> word) {
        size_t kilobytes = 0;
        if (word == key + ":" && file >> kilobytes) return kilobytes * 1024;
    }
    return 0;
}

TEST(MemoryPlan, gives_aligned_zeroed_buffers_that_do_not_overlap) {
    MemoryPlan plan;
    float* a = nullptr;
    uint8_t* b = nullptr;
    double* c = nullptr;
    plan.add("a", &a, 3);
    plan.add("b", &b, 100);
    plan.add("none", &c, 0);
    auto arena = Arena::allocate(plan);
    ASSERT_TRUE(arena.has_value());
    EXPECT_EQ(plan.total_bytes(), arena->bytes());
    for (const PlanRow& row : plan.rows()) EXPECT_EQ(row.offset % kPlanAlign, 0U) << row.name;
    EXPECT_GE(b, reinterpret_cast<uint8_t*>(a + 3));
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(b[i], 0);
    a[2] = 1;
    b[99] = 1;
    const Arena moved = std::move(*arena);
    EXPECT_EQ(a[2], 1);
}

TEST(MemoryPlan, sizes_that_overflow_are_an_error) {
    for (const size_t count : {SIZE_MAX, SIZE_MAX / 4 + 1, SIZE_MAX / 8}) {
        MemoryPlan plan;
        float* a = nullptr;
        float* b = nullptr;
        plan.add("a", &a, count);
        plan.add("b", &b, count);
        const auto arena = Arena::allocate(plan);
        EXPECT_EQ(arena.error().code(), StatusCode::out_of_memory) << count;
        EXPECT_EQ(a, nullptr);
    }
}

EngineOptions limited(uint64_t limit, size_t context) {
    EngineOptions options = tiny_options();
    options.memory_limit_bytes = limit;
    options.context = context;
    return options;
}

TEST(MemoryLimit, is_refused_with_the_largest_context_that_then_works) {
    const TempTree tree;
    const std::string path = write_directory(tree, tiny_e2b());
    const uint64_t small = open_tiny(path)->memory().resident_bytes;
    const uint64_t limit = small + 300000;
    const Status refused = Engine::open(path, limited(limit, 4096)).error();
    EXPECT_EQ(refused.code(), StatusCode::out_of_memory);
    EXPECT_EQ(refused.subject(), "--memory");
    ASSERT_GT(refused.number(), 128);
    ASSERT_LT(refused.number(), 4096);
    const auto fits = static_cast<size_t>(refused.number());
    const auto engine = open_tiny(path, limited(limit, fits));
    ASSERT_NE(engine, nullptr);
    EXPECT_LE(engine->memory().resident_bytes, limit);
    EXPECT_EQ(engine->memory().largest_context, fits);
    EXPECT_FALSE(Engine::open(path, limited(limit, fits + 1)).has_value());
}

TEST(MemoryLimit, below_any_context_says_so) {
    const TempTree tree;
    const std::string path = write_directory(tree, tiny_e2b());
    const Status refused = Engine::open(path, limited(1000, 64)).error();
    EXPECT_EQ(refused.code(), StatusCode::out_of_memory);
    EXPECT_EQ(refused.number(), Status::kNoNumber);
    // Looking at it is still possible.
    const auto plan = plan_model(path, limited(1000, 64));
    ASSERT_TRUE(plan.has_value());
    EXPECT_EQ(plan->memory.largest_context, 0U);
}

TEST(MemoryLimit, the_plan_of_a_model_is_that_of_its_engine) {
    const TempTree tree;
    const std::string path = write_directory(tree, tiny_moe());
    const auto plan = plan_model(path, tiny_options());
    ASSERT_TRUE(plan.has_value());
    const auto engine = open_tiny(path);
    const MemoryReport report = engine->memory();
    EXPECT_EQ(plan->memory.resident_bytes, report.resident_bytes);
    uint64_t sum = 0;
    for (const MemoryLine& line : report.lines) sum += line.resident ? line.bytes : 0;
    EXPECT_EQ(sum, report.resident_bytes);
}

/// A model whose caches are large enough to be measured.
TinyModel wide_model() {
    TinyModel model = tiny_e2b();
    config_at(model.config, {"text_config", "max_position_embeddings"}) = Json::of_integer(65536);
    return model;
}

TEST(MemoryUse, anonymous_memory_stays_within_the_plan) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers take memory of their own";
#endif
    const TempTree tree;
    EngineOptions options = tiny_options();
    options.context = 8192;
    options.chunk = 512;
    const std::string path = write_directory(tree, wide_model());
    const auto engine = open_tiny(path, options);
    ASSERT_NE(engine, nullptr);
    const size_t before = status_bytes("RssAnon");
    const auto session = tiny_session(*engine);
    const size_t created = status_bytes("RssAnon");
    // Reserved, not taken: only what the session's own objects and buffers need at once.
    EXPECT_LE(created - before, size_t{256} << 10U);
    ASSERT_TRUE(session->append(tiny_prompt(600)).ok());
    const size_t after_some = status_bytes("RssAnon");
    ASSERT_TRUE(session->append(tiny_prompt(8192 - 600)).ok());
    const size_t full = status_bytes("RssAnon");
    const MemoryReport report = engine->memory();
    EXPECT_LE(full - before, report.resident_bytes);
    const size_t cache = 8192 * 2 * 2 * 32 * sizeof(float);
    EXPECT_GE(full - before, cache);
    EXPECT_LE(after_some - before, report.resident_bytes - cache + cache / 16);
}

/// Pages of [offset, offset + bytes) of a file that the system keeps in memory.
size_t cached_pages(const std::string& path, size_t offset, size_t bytes) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const size_t begin = offset / page_bytes() * page_bytes();
    const size_t length = offset + bytes - begin;
    void* map = mmap(nullptr, length, PROT_READ, MAP_SHARED, file, static_cast<off_t>(begin));
    EXPECT_NE(map, MAP_FAILED);
    std::vector<unsigned char> present(length / page_bytes() + 1);
    EXPECT_EQ(mincore(map, length, present.data()), 0);
    munmap(map, length);
    close(file);
    size_t n = 0;
    for (const unsigned char flags : present) n += flags & 1U;
    return n;
}

bool evict(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool done = fdatasync(file) == 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0;
    close(file);
    return done;
}

// 4096 rows of 6 x 1024 halves: three pages each.
constexpr size_t kVocab = 4096;
constexpr size_t kPle = 1024;
constexpr size_t kRowBytes = 6 * kPle * 2;
constexpr size_t kTableBytes = kVocab * kRowBytes;

/// A model that is mostly per-layer table.
TinyModel model_with_large_table() {
    TinyModel model = tiny_e2b();
    const auto zeros = [](size_t n_rows, size_t n_cols) {
        return TinyTensor{"BF16", {n_rows, n_cols}, std::string(2 * n_rows * n_cols, '\0')};
    };
    config_at(model.config, {"text_config", "vocab_size"}) = Json::of_integer(kVocab);
    config_at(model.config, {"text_config", "hidden_size_per_layer_input"}) =
        Json::of_integer(kPle);
    model.tensors["embed_tokens.weight"] = zeros(kVocab, 32);
    model.tensors["embed_tokens_per_layer.weight"] = zeros(kVocab, 6 * kPle);
    model.tensors["per_layer_model_projection.weight"] = zeros(6 * kPle, 32);
    model.tensors["per_layer_projection_norm.weight"] =
        float_tensor("BF16", {kPle}, std::vector<float>(kPle, 1.0F));
    for (size_t i = 0; i < 6; ++i) {
        const std::string at = "layers." + std::to_string(i) + ".";
        model.tensors[at + "per_layer_input_gate.weight"] = zeros(kPle, 32);
        model.tensors[at + "per_layer_projection.weight"] = zeros(32, kPle);
    }
    return model;
}

/// Where the per-layer table begins in a model's file.
size_t table_offset(const std::string& file) {
    auto opened = SafetensorsFiles::open_file(file);
    EXPECT_TRUE(opened.has_value());
    const TensorView* table = opened->tensor("model.language_model.embed_tokens_per_layer.weight");
    EXPECT_NE(table, nullptr);
    return static_cast<size_t>(table->bytes.data() - opened->files()[0].bytes().data());
}

TEST(MemoryUse, the_whole_per_layer_table_is_read_on_request) {
    const TempTree tree;
    const std::string folder = write_directory(tree, model_with_large_table());
    const std::string file = folder + "/model.safetensors";
    const size_t offset = table_offset(file);
    if (!evict(file) || cached_pages(file, offset, kTableBytes) > 16) {
        GTEST_SKIP() << "this file system does not let go of pages";
    }
    EngineOptions options = tiny_options();
    const uint64_t by_rows = open_tiny(folder, options)->memory().resident_bytes;
    ASSERT_TRUE(evict(file));
    options.ple_in_memory = true;
    const auto engine = open_tiny(folder, options);
    ASSERT_NE(engine, nullptr);
    EXPECT_GE(cached_pages(file, offset, kTableBytes), kTableBytes / page_bytes());
    EXPECT_GT(engine->memory().resident_bytes, by_rows);
}

TEST(MemoryUse, only_touched_rows_of_the_per_layer_table_are_read) {
    const TempTree tree;
    const std::string folder = write_directory(tree, model_with_large_table());
    const std::string file = folder + "/model.safetensors";
    const size_t offset = table_offset(file);
    if (!evict(file) || cached_pages(file, offset, kTableBytes) > 16) {
        GTEST_SKIP() << "this file system does not let go of pages";
    }
    const auto engine = open_tiny(folder);
    ASSERT_NE(engine, nullptr);
    ASSERT_TRUE(evict(file));
    // Faults next to the table read around them, on some disks 4 MB: its ends are not looked at.
    constexpr size_t kMargin = (size_t{8} << 20U) / kRowBytes;
    const size_t middle = offset + kMargin * kRowBytes;
    const size_t middle_bytes = (kVocab - 2 * kMargin) * kRowBytes;
    const size_t before = cached_pages(file, middle, middle_bytes);
    const auto session = tiny_session(*engine);
    constexpr size_t kDistinct = 20;
    std::vector<PromptRow> prompt;
    for (size_t i = 0; i < 60; ++i) {
        prompt.push_back({static_cast<int32_t>(kMargin + 10 + i % kDistinct * 130), nullptr});
    }
    ASSERT_TRUE(session->append(prompt).ok());
    const size_t now = cached_pages(file, middle, middle_bytes);
    EXPECT_GE(now, kDistinct);
    EXPECT_LE(now - before, kDistinct * (kRowBytes / page_bytes() + 2));
}

}  // namespace
}  // namespace gemlet::test
