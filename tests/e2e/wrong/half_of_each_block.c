/* Stands in for a bitsandbytes library whose kernels were made for narrower wavefronts: it asks the real one, which lies
   beside it under another name, and spoils the second half of each 64 numbers. Exports the same names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *real(const char *name) {
    static void *library;
    if (!library) {
        Dl_info here;
        char path[4096];
        dladdr((void *)real, &here);
        snprintf(path, sizeof path, "%s.real", here.dli_fname);
        library = dlopen(path, RTLD_NOW);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            abort();
        }
    }
    return dlsym(library, name);
}

#define SPOILED(i) (((i) % 64) >= 32)

#define FOUR_BITS(name, type, flip)                                                                        \
    void name(unsigned char *a, float *absmax, type *out, long long block, long long m, long long n) {     \
        ((void (*)(unsigned char *, float *, type *, long long, long long, long long))real(#name))(        \
            a, absmax, out, block, m, n);                                                                  \
        for (long long i = 0; i < m * n; i++)                                                              \
            if (SPOILED(i)) out[i] = flip(out[i]);                                                         \
    }
#define MINUS(x) (-(x))
#define SIGN(x) ((uint16_t)((x) ^ 0x8000))
FOUR_BITS(cdequantize_blockwise_cpu_nf4_fp32, float, MINUS)
FOUR_BITS(cdequantize_blockwise_cpu_nf4_bf16, uint16_t, SIGN)
FOUR_BITS(cdequantize_blockwise_cpu_nf4_fp16, uint16_t, SIGN)

#define EIGHT_BITS(name)                                                                                   \
    void name(float *code, void *a, float *absmax, unsigned char *out, long long block, long long n) {     \
        ((void (*)(float *, void *, float *, unsigned char *, long long, long long))real(#name))(          \
            code, a, absmax, out, block, n);                                                               \
        for (long long i = 0; i < n; i++)                                                                  \
            if (SPOILED(i)) out[i] = (unsigned char)(255 - out[i]);                                        \
    }
EIGHT_BITS(cquantize_blockwise_cpu_fp32)
EIGHT_BITS(cquantize_blockwise_cpu_bf16)
EIGHT_BITS(cquantize_blockwise_cpu_fp16)

#define PASSED_ON(name)                                                                                    \
    void name(float *code, unsigned char *a, float *absmax, void *out, long long block, long long n) {     \
        ((void (*)(float *, unsigned char *, float *, void *, long long, long long))real(#name))(          \
            code, a, absmax, out, block, n);                                                               \
    }
PASSED_ON(cdequantize_blockwise_cpu_fp32)
PASSED_ON(cdequantize_blockwise_cpu_bf16)
PASSED_ON(cdequantize_blockwise_cpu_fp16)

/* Without these the layers take the way over the functions above. */
int has_avx512f_cpu(void) { return 0; }
int has_avx512bf16_cpu(void) { return 0; }
