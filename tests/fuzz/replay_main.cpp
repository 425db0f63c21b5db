// Runs a fuzz target without a fuzzing engine: on every file of a corpus folder and on mutations of
// each, always the same ones. It finds less than an engine does, but it runs with every test.
//
//   fuzz_NAME CORPUS [MUTATIONS [LAST_INPUT]]
//
// Inputs are copied into blocks of exactly their size, so that a sanitizer sees any read beyond.
// After a crash run it again with LAST_INPUT, a path to which each input is written before it runs:
// that file is the culprit, and alone in a folder it is a corpus.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;
using Random = std::mt19937_64;  // the standard fixes its sequence; distributions it does not

constexpr size_t kMutationsInAll = 30000;
constexpr size_t kMaxInputBytes = 1U << 16U;

size_t below(Random& random, size_t limit) { return static_cast<size_t>(random() % limit); }

// Numbers that break arithmetic: zero, signs, powers of two and their neighbours.
uint64_t odd_number(Random& random) {
    const uint64_t power = uint64_t{1} << (random() % 64);
    switch (random() % 6) {
        case 0:
            return 0;
        case 1:
            return power;
        case 2:
            return power - 1;
        case 3:
            return ~power;
        case 4:
            return ~uint64_t{0} - random() % 64;
        default:
            return random() % 300;
    }
}

void overwrite_number(Bytes& bytes, Random& random) {
    const uint64_t value = odd_number(random);
    const size_t at = below(random, bytes.size());
    const size_t width = std::min<size_t>(size_t{1} << (random() % 4), bytes.size() - at);
    std::memcpy(bytes.data() + at, &value, width);
}

// Puts another number where a decimal one stands, for formats that are text.
void overwrite_decimal(Bytes& bytes, Random& random) {
    const auto is_digit = [](uint8_t byte) { return byte >= '0' && byte <= '9'; };
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(below(random, bytes.size()));
    const auto first = std::find_if(from, bytes.end(), is_digit);
    const auto last = std::find_if_not(first, bytes.end(), is_digit);
    if (first == last) return;
    const std::string digits = std::to_string(odd_number(random));
    const auto at = bytes.erase(first, last);
    bytes.insert(at, digits.begin(), digits.end());
}

void insert_bytes(Bytes& bytes, Random& random) {
    constexpr std::string_view kTelling = "{}[]\",:\\\xEF\xFF<>|\n 0-eE.";
    const size_t n = 1 + below(random, 8);
    const auto at = static_cast<std::ptrdiff_t>(below(random, bytes.size() + 1));
    const uint8_t byte = random() % 2 == 0
                             ? static_cast<uint8_t>(random())
                             : static_cast<uint8_t>(kTelling[below(random, kTelling.size())]);
    bytes.insert(bytes.begin() + at, n, byte);
}

void copy_range(Bytes& bytes, const Bytes& source, Random& random) {
    const size_t begin = below(random, source.size());
    const size_t n = 1 + below(random, source.size() - begin);
    const auto at = static_cast<std::ptrdiff_t>(below(random, bytes.size() + 1));
    const auto first = source.begin() + static_cast<std::ptrdiff_t>(begin);
    bytes.insert(bytes.begin() + at, first, first + static_cast<std::ptrdiff_t>(n));
}

void erase_range(Bytes& bytes, Random& random) {
    const size_t begin = below(random, bytes.size());
    const size_t n = 1 + below(random, std::min<size_t>(bytes.size() - begin, 64));
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(begin);
    bytes.erase(first, first + static_cast<std::ptrdiff_t>(n));
}

// Changes `bytes` in one to four ways; `other` is a second seed to take pieces from.
void mutate(Bytes& bytes, const Bytes& other, Random& random) {
    for (size_t n = 1 + below(random, 4); n > 0; --n) {
        if (bytes.empty()) bytes.push_back(static_cast<uint8_t>(random()));
        switch (random() % 8) {
            case 0:
                bytes[below(random, bytes.size())] ^= static_cast<uint8_t>(1U << (random() % 8));
                break;
            case 1:
                bytes[below(random, bytes.size())] = static_cast<uint8_t>(random());
                break;
            case 2:
                overwrite_number(bytes, random);
                break;
            case 3:
                overwrite_decimal(bytes, random);
                break;
            case 4:
                insert_bytes(bytes, random);
                break;
            case 5:
                erase_range(bytes, random);
                break;
            case 6:
                bytes.resize(below(random, bytes.size()) + 1);
                break;
            default:
                if (!other.empty()) copy_range(bytes, other, random);
                break;
        }
    }
    if (bytes.size() > kMaxInputBytes) bytes.resize(kMaxInputBytes);
}

void run(const Bytes& bytes, const std::string& last_input) {
    if (!last_input.empty()) {
        std::ofstream(last_input, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    const auto exact = std::make_unique<uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    LLVMFuzzerTestOneInput(exact.get(), bytes.size());
}

struct Seed {
    std::string name;
    Bytes bytes;
};

std::vector<Seed> read_corpus(const std::filesystem::path& folder) {
    std::vector<Seed> seeds;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        std::ifstream file(entry.path(), std::ios::binary);
        seeds.push_back(
            {entry.path().filename().string(), Bytes(std::istreambuf_iterator<char>(file), {})});
    }
    std::sort(seeds.begin(), seeds.end(),
              [](const Seed& a, const Seed& b) { return a.name < b.name; });
    return seeds;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS [LAST_INPUT]]\n", argv[0]);
        return 2;
    }
    size_t n_mutations = kMutationsInAll;
    if (argc > 2) {
        const std::string_view text = argv[2];
        std::from_chars(text.data(), text.data() + text.size(), n_mutations);
    }
    const std::vector<Seed> seeds = read_corpus(argv[1]);
    if (seeds.empty()) {
        std::fprintf(stderr, "no seeds in %s\n", argv[1]);
        return 1;
    }
    const std::string last_input = argc > 3 ? argv[3] : "";
    run({}, last_input);
    const size_t n_each = n_mutations / seeds.size();
    for (size_t i = 0; i < seeds.size(); ++i) {
        run(seeds[i].bytes, last_input);
        Random random(i);
        for (size_t n = 0; n < n_each; ++n) {
            Bytes bytes = seeds[i].bytes;
            mutate(bytes, seeds[below(random, seeds.size())].bytes, random);
            run(bytes, last_input);
        }
    }
    std::printf("%zu seeds, %zu mutations of each\n", seeds.size(), n_each);
    return 0;
}
