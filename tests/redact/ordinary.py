"""Lines that look as if they held secrets and do not, as kubelet, containerd, ipamd and AWS print them."""

from __future__ import annotations

LINES = (
    r'''E1125 14:12:09.860943 3745 secret.go:194] "Couldn't get secret" secret="default/tls-web-1" err="secret \"tls-web-1\" not found"''',
    r'''E1125 nestedpendingoperations.go:348] Operation for "{volumeName:kubernetes.io/projected/8dd9ec31-8c53-484f-b762-2d125cce0bd8-kube-api-access-x7k2p podName: nodeName:}" failed. Error: MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : failed to fetch token: serviceaccounts "web" is forbidden''',
    r'''I1125 reflector.go:351] "Caches populated" type="*v1.Secret" reflector="object-\"kube-system\"/\"aws-secret\""''',
    "X-aws-ec2-metadata-token-ttl-seconds: 21600",
    "kubelet --authentication-token-webhook=true --authorization-mode=Webhook --client-ca-file=/etc/kubernetes/pki/ca.crt --rotate-certificates",
    "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token AWS_ROLE_ARN=arn:aws:iam::111122223333:role/node",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
    "failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, canceled, context deadline exceeded",
    "failed to get API token: operation error ec2imds: getToken, exceeded maximum number of attempts, 3, request send failed",
    "unable to fetch token: Put \"http://169.254.169.254/latest/api/token\": dial tcp 169.254.169.254:80: i/o timeout",
    '{"projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt"}}]}}',
    '{"volumes":[{"name":"certs","secret":{"secretName":"web-tls","defaultMode":420}}],"automountServiceAccountToken":true,"token":null,"password":""}',
    'image "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni@sha256:5176c549c304bd3af332887eabe743b087f644980c86a7c05ebad957301b18ba" pulled',
    "Basic authentication is disabled; Bearer token expired at 14:12:09; token: false; tokens: 100; max_tokens=4096",
    "UnauthorizedOperation: You are not authorized to perform this operation.\n\tstatus code: 403, request id: 44d5c4dc-b711-b4b3-a4ac-0efb13ad9a3f",
    "Unable to authenticate the request err=\"[invalid bearer token, service account token has expired]\"",
    "signature: address-try, PWD=/root OLDPWD=/var/log bypass=yes compass: north passed: 12 passes=3",
    "Found ENI eni-0087835b92558589e i-0fc1f7cd5bb2e35cb subnet-0873a0000c6d07ef7 sg-0abc1234def567890 vpc-04283fefc63f0cd0e 02:aa:bb:cc:dd:ee 2600:1f14:abc:de00::1f",
    "kubelet.service: Main process exited; credentials: none",
    "nodeadm: certificate-authority-data unchanged, apiServerEndpoint https://0A1B2C3D4E5F60718293A4B5C6D7E8F9.gr7.us-west-2.eks.amazonaws.com",
    "-----BEGIN CERTIFICATE-----",
    "cni-5176c549-c304-4f7e-9d9e-000000000001 enia4327218285 s=77622d125cce0bd8a36af4c35429fcef;i=b1;b=6f5cc89ac2680d5ef6c3de2fb4d2f622",
    "go: golang.org/x/sys.internalpackagename v0.29.0-alpha.1 k8s.io/kubernetesversionlong go1.22",
    "https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html ssh://git@github.com/aws/amazon-vpc-cni-k8s mailto:a@example.com",
    "journalctl -u kubelet: 12 lines; docker run -u 1000:1000 x; crictl pods -q | wc -l",
    "Progress 100%ab 50%, rate=3%cd",
)
