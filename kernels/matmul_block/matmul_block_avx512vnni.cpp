// AVX-512 VNNI: vpdpbusd adds four products of unsigned weight codes and signed activations to 32
// bits without saturation, so all formats take one path; signed codes get a bias of 128, which the
// activations' sums take off again.
//
// Prefill (tile_vectors_avx512.h): 12 activation rows x 32 outputs: 24 sums, 2 weight vectors, 1
// broadcast in registers. Per group of 32 columns 192 vpdpbusd, 24 multiplications and 24 fused
// ones on the same two ports, so at most 0.80 of the peak (0.73 where minimums or second scales add
// a step, or where conversions share the ports: Intel); 162 loads and 24 stores in those 120
// cycles. Decode (row_dots_avx512.h): about 42 vector operations per 288 bytes of Q4_0. Predicted,
// not measured: prefill 0.70-0.80 of the peak on Zen 5; llvm-mca gives 0.73 on Sapphire Rapids;
// decode of Q4_0 at about twice the speed of memory.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/block_pack_avx2.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_block/row_dots_avx512.h"
#include "kernels/matmul_block/tile_vectors_avx512.h"

namespace gemlet {
namespace {

constexpr size_t kMaxDotRows = 8;  // more activation rows than these multiply unpacked tiles

void run(const MatmulBlockArgs& args) {
    if (args.m == 0 || args.n_begin >= args.n_end) return;
    uint8_t* work = args.scratch + unpacked_bytes(args.k);
    with_rows(args, args.scratch, [&](auto rows) {
        if (args.m <= kMaxDotRows) return multiply_few<PairDots>(args, rows, work);
        multiply_many<Vectors512>(args, rows, work);
    });
}

}  // namespace

extern const MatmulBlockVariant matmul_block_avx512vnni;
const MatmulBlockVariant matmul_block_avx512vnni = {"matmul_block_avx512vnni", Isa::avx512vnni,
                                                    pack_rows, run};

}  // namespace gemlet
