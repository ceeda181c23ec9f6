/* main() of a test program, in a file of its own: a program that has one does not get this. */
#include <bide/test.h>

int main(int argc, char **argv)
{
    return bide_test_main(argc, argv);
}
